/** The catalogue: every message of the page, in English. Arguments are numbered: {0} is the first. */

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

export const en = { page, limits, faults, time, units, types, room, people, rooms, chat, consent, device, devices, known, palette, settings, about, together, session, simulator, system, resource_short } as const;
