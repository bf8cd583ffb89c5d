/** Where the page begins. */

import { mount } from "svelte";
import App from "./App.svelte";
import "./app.css";
import { app } from "./lib/app.svelte";
import { hook } from "./lib/hook";
import { people } from "./lib/people/state.svelte";
import { settings } from "./lib/settings.svelte";

Object.defineProperty(window, "__sensocto", { value: hook });
// Whoever is signed in is so before the first question; a visitor asks for nothing first.
const begun = people.begin().then(() => app.start());
await settings.begin();
await begun;
mount(App, { target: document.getElementById("app")! });
