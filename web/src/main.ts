/** Where the page begins. */

import { mount } from "svelte";
import App from "./App.svelte";
import "./app.css";
import { app } from "./lib/app.svelte";
import { hook } from "./lib/hook";

Object.defineProperty(window, "__sensocto", { value: hook });
mount(App, { target: document.getElementById("app")! });
app.start();
