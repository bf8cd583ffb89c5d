/** The catalogue in German: complete, or it does not compile. */

import type { en } from "../en";
import type { Whole } from "../speak";
import { chat } from "./chat";
import { consent } from "./consent";
import { device } from "./device";
import { devices } from "./devices";
import { known } from "./known";
import { faults, limits, page, time, types, units } from "./page";
import { palette } from "./palette";
import { people, rooms } from "./people";
import { room } from "./room";
import { about, settings } from "./settings";
import { simulator } from "./simulator";
import { resource_short, system } from "./system";
import { session, together } from "./together";

export const de: Whole<typeof en> = { page, limits, faults, time, units, types, room, people, rooms, chat, consent, device, devices, known, palette, settings, about, together, session, simulator, system, resource_short };
