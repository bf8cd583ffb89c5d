/** Where the page begins. */

import { mount } from "svelte";
import App from "./App.svelte";
import "./app.css";
import { app } from "./lib/app.svelte";
import { hook } from "./lib/hook";
import { settings } from "./lib/settings.svelte";

Object.defineProperty(window, "__sensocto", { value: hook });
app.start();
await settings.begin();
mount(App, { target: document.getElementById("app")! });
