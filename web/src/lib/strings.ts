/** Every word the page says, in one place, so that another language is another file. */

export const strings = {
  name: "Sensocto",
  title: (view: string) => `${view} · Sensocto`,
  skip: "Skip to the sensors",
  views: "Views",
  lobby: "Lobby",
  all_ecg: "All ECG",
  together_view: "Together",
  simulator_view: "Simulator",
  system_view: "System",
  link: {
    connecting: "Connecting",
    live: "Live",
    reconnecting: "Reconnecting",
    denied: "Access needed",
    closed: "Closed",
    stalled: "No data",
  },
  last_data: (age: string) => `last data ${age} ago`,
  no_data_yet: "no data yet",
  receiving: "What this page receives",
  samples_per_s: (n: string) => `${n} samples/s`,
  kb_per_s: (n: string) => `${n} kB/s`,
  age_p50: (n: string) => `${n} ms old`,
  quality: (level: string, short: string) => (short === "" ? `${level} quality` : `${level} · ${short}`),
  quality_title: "Quality",
  quality_now: (level: string) => `What is merely seen comes at ${level} quality.`,
  quality_focused: (level: string) => `What you look at closely comes at ${level} quality.`,
  quality_none: "The server has not said yet.",
  quality_ask: "Ask for",
  choices: { auto: "Auto", high: "High", medium: "Medium", low: "Low", minimal: "Minimal" },
  choice_hints: {
    auto: "What this view needs, as far as line, browser and server carry it",
    high: "All of waveforms and the latest of the rest, thirty times a second",
    medium: "The same, twenty times a second",
    low: "Summaries, ten times a second",
    minimal: "Summaries, five times a second",
  },
  to_system: "See what the server decides, and why",
  age_why: "Median age of samples on arrival",
  theme: { dark: "Dark", light: "Light", to: (theme: string) => `Switch to ${theme} theme` },
  filter: "Filter sensors",
  filter_hint: "Filter by name or type",
  sort: "Sort by",
  sort_name: "Name",
  sort_type: "Type",
  sensors: (shown: number, total: number) =>
    shown === total ? `${total} ${total === 1 ? "sensor" : "sensors"}` : `${shown} of ${total} sensors`,
  no_sensors: "No sensors are connected yet. They appear here as soon as they speak.",
  no_match: "No sensor matches the filter.",
  tile: (name: string, type: string) => `${name}, ${type}`,
  attention: { none: "not watched", low: "low", medium: "medium", high: "high" } as Record<string, string>,
  attention_label: (level: string) => `Attention: ${level}`,
  rate: (got: string, of: string | null) => (of === null ? `${got}/s` : `${got}/s of ${of}/s`),
  age: (age: string) => `${age} ago`,
  pin: "Pin",
  pinned: "Pinned",
  pin_label: (name: string) => `Keep ${name} at full rate`,
  strip: (name: string, attribute: string) => `${name}, ${attribute}, live trace`,
  strip_summary: (value: string, rate: string, age: string) => `${value}, receiving ${rate}, ${age}`,
  keys_tile: "Arrow keys walk, Enter opens, P pins, Escape closes.",
  detail: (name: string) => `${name}, all signals`,
  close: "Close",
  raw_json: "Latest as JSON",
  waiting: "Waiting for the first sample",
  ecg_title: "All ECG",
  ecg_count: (n: number) => `${n} ${n === 1 ? "trace" : "traces"}`,
  ecg_none: "No sensor in the room has an ECG.",
  window: "Window",
  seconds: (n: number) => `${n} s`,
  ecg_label: (n: number) => `${n} electrocardiograms drawn as a sweep`,
  ecg_summary: (live: number, n: number) => `${live} of ${n} traces live`,
  silent: (age: string) => `silent ${age}`,
  token_title: "This room asks for an access token",
  token_hint: "Kept in this tab only, until it is closed.",
  token: "Access token",
  token_refused: "The token was refused.",
  enter: "Enter",
  frames: (fps: string) => `${fps} frames/s`,
  skip_together: "Skip to the group",
  skip_simulator: "Skip to the simulator",
  skip_system: "Skip to the system",
};

/** Which layer gave this viewer least, short and in a sentence. */
const LIMITS: Record<string, [short: string, sentence: string]> = {
  auto: ["", "Nothing holds it back."],
  device: ["device's pace", "The devices send no more."],
  intake: ["intake limit", "The server takes in no more of it: a limit protects the others."],
  storage: ["short memory", "The server keeps too little of the past to catch up."],
  budget: ["busy server", "The server is busy and gives everyone a little less."],
  socket: ["slow line", "Your line does not take more: data wait for it."],
  health: ["busy browser", "Your browser reports that it is at its limit."],
};
export function limit_short(reason: string): string {
  return LIMITS[reason]?.[0] ?? "";
}
/** `chosen`: a person asked for it, not the view. */
export function limit_sentence(reason: string, chosen: boolean): string {
  if (reason === "asked" || reason === "requested") return chosen ? "That is what you asked for." : "That is all this view needs.";
  return LIMITS[reason]?.[1] ?? (reason === "" ? "" : `Reason: ${reason.replaceAll("_", " ")}.`);
}

const many = (n: number, one: string, more = `${one}s`): string => `${count_text(n)} ${n === 1 ? one : more}`;

/** What the Together view says. None of it says more than was measured. */
export const together_strings = {
  title: "Together",
  intro: "How near people's rhythms are to each other, now and over the last minutes. None of it tells people who follow each other from people who follow the same beat.",

  choice: "What is compared",
  signal: "Signal",
  signals: { breath: "Breathing", heart_high: "Heart rhythm, fast", heart_low: "Heart rhythm, slow" },
  signal_hints: {
    breath: "From whoever sends respiration",
    heart_high: "The pace of heartbeats as it goes with the breath; from whoever sends an ECG",
    heart_low: "The pace of heartbeats in waves of about ten seconds; from whoever sends an ECG",
  },
  tier: "How late",
  tiers: { confirmed: "Confirmed", prompt: "Prompt", live: "Live" },
  tier_of: (tier: string, seconds: string) => `${tier}, ${seconds} late`,
  tier_hints: { confirmed: "The most exact", prompt: "Nearly as exact", live: "The soonest, and the least exact" },
  who: "Who",
  everybody: "Everybody",
  some: "Chosen",
  find: "Find people",
  find_hint: "Find by name",
  people: "People",
  chosen: (n: number, of: number) => `${n} of ${of} chosen`,
  choose_shown: (n: number) => `Choose these ${n}`,
  choose_none: "Choose nobody",
  more: (n: number) => `and ${count_text(n)} more: type a name to find them`,
  gone: "not here now",
  nobody_found: "Nobody by that name sends it.",
  anew: "A new choice is measured from the start.",

  verdicts: {
    choose: "Choose two people at least",
    waiting: "Asking the server…",
    refused: "The server does not compare them",
    nobody: "Nobody sends this signal now",
    alone: "One person alone: there is nobody to compare with",
    stale: "No readings come",
    soon: "Not enough data yet",
    unmeasurable: "Not measurable now",
    together: "Together more than strangers are",
    distances: "Not at one point, but at steady distances",
    apart: "Not told apart from strangers",
  },
  over: (R: string, null95: string) => `R ${R} over the last half minute. 95 % of the time, strangers stay below ${null95}.`,
  over_pair: (plv: string, seconds: string, strangers: string) => `How steady their distance was: ${plv} over ${seconds}. 95 % of the time, strangers stay below ${strangers}.`,
  over_pairs: (n: number, of: number, chance: string) => `${n} of ${many(of, "pair")} keep their distance more steadily than strangers do; by chance alone about ${chance} would.`,
  soon_rhythm: { breath: "A rhythm is known after three cycles, and half a minute.", heart_high: "A rhythm is known after three cycles, and half a minute.", heart_low: "Slow waves of the heart are known after two minutes." },
  soon_measured: (got: string, of: string) => `Measured for ${got} so far; said after ${of}.`,
  soon_others: "Of most there is too little to say anything of all.",
  soon_pair: "Two people are judged by a minute in common.",
  stale_since: (age: string) => `The last one came ${age} ago; what you see below is of then.`,
  no_link: "The line to the server is down; it is tried again.",
  refusals: {
    too_many_groups: "It compares as many groups as it can. Try again when others have stopped.",
    timeout: "It did not answer. It may be too old to compare people.",
  } as Record<string, string>,
  refused_because: (reason: string) => `Its reason: ${reason.replaceAll("_", " ")}.`,

  measurable_of: (n: number, of: number) => (n === of ? (of === 2 ? "Both measurable." : `All ${of} measurable.`) : `${n} of ${of} measurable.`),
  unmeasurable_of: (n: number, of: number, whys: string) => `${n} of ${of} not measurable: ${whys}.`,
  why_count: (why: string, n: number) => `${why} (${n})`,
  left_out: (n: number) => `${many(n, "person", "people")} left out: the group is full.`,
  whys: {
    silent: "silent", no_numbers: "no numbers", wrong_clock: "clock far off", clock_uncertain: "clock not known yet", too_short: "too little data yet",
    gap: "gap in the data", flat: "flat signal", clipped: "clipped signal", no_rhythm: "no clear rhythm", weak: "rhythm too weak", unknown: "no reason told",
  } as Record<string, string>,
  why_hints: {
    silent: "Nothing comes from the device, or it comes too late.", no_numbers: "What comes is not numbers.", wrong_clock: "The device's clock is so far off that its samples have no place.",
    clock_uncertain: "The device's clock disagrees with the others', and by how much is not known well enough.", too_short: "A rhythm takes half a minute to be known.",
    gap: "Samples are missing; a phase needs some seconds without a gap.", flat: "The signal does not move.", clipped: "The signal stands at the end of its range.",
    no_rhythm: "The signal moves, but not in a rhythm.", weak: "The rhythm is too small just now.",
  } as Record<string, string>,

  measurable: "Measurable",
  n_of: (n: number, of: number) => `${n} of ${of}`,
  R: "R now",
  R_why: "The length of the mean of all phases: 1 when all are at the same point of their cycle. Smoothed over 2 s.",
  null95: "Strangers below",
  null95_why: "So many strangers stay below this R 95 % of the time.",
  kappa: "κ now",
  kappa_why: "The mean likeness of pairs: 0 for strangers on average, 1 when all are in step. Smoothed over 2 s.",
  late: "Shown late by",
  late_why: "What you see was so long ago; what the network takes comes on top.",
  shown_late: (seconds: string) => `Shown ${seconds} late.`,

  circle: "Phase circle",
  circle_label: "Circle of phases",
  turning: "Turning",
  held: "Held",
  circle_view: "How the circle is shown",
  held_hint: "The group stands at the top, and one sees who is ahead and who behind",
  ahead: "ahead →",
  behind: "← behind",
  strangers: "strangers",
  circle_legend: "A cycle is once around, clockwise. The arrow is the mean of all: its length is R. Strangers' arrow stays in the shaded disc 95 % of the time.",
  outside: "Outside, because not measurable",
  circle_none: "nobody can be measured",
  circle_says: (n: number, of: number, R: string) => `${n} of ${of} on the circle, R ${R}`,

  traces: "The last five minutes",
  traces_hint: "Shaded: where strangers stay 95 % of the time. A gap: fewer than two could be measured.",
  R_trace: "R, how near all are to one point of the cycle",
  kappa_trace: "κ, how alike pairs are on average",
  kappa_short: "κ",
  R_short: "R",
  trace_label: (name: string) => `${name}, the last five minutes`,
  minutes_ago: "5 min ago",
  newest: (seconds: string) => (seconds === "" ? "newest" : `${seconds} ago`),
  read_trace: (name: string) => `Read ${name} at a moment`,
  before: (age: string) => `${age} before the newest`,
  at_newest: "newest",
  reading: (value: string, strangers: string) => `${value}, strangers below ${strangers}`,
  not_measured: "not measured",
  as_table: "As a table",
  as_plots: "As plots",
  time: "Time",

  everyone: "Everybody in the group",
  everyone_hint: "How far ahead of the group's mean or behind it, in parts of a cycle.",
  hearts_hint: "Heart rate and its variability are of the window that is told, behind the correction of beats that cannot be right.",
  columns: { name: "Name", state: "State", ahead: "Cycles", rate: "Rate", rmssd: "RMSSD", sdnn: "SDNN", window: "Over", corrected: "Corrected" },
  is_measurable: "measurable",
  not_measurable: (why: string) => `not measurable: ${why}`,
  cycles: (n: number) => (Math.abs(n) < 0.005 ? "with it" : `${Math.abs(n).toFixed(2)} ${n > 0 ? "ahead" : "behind"}`),
  bpm: (n: string) => `${n} bpm`,
  ms: (n: string) => `${n} ms`,
  nobody: "Nobody yet.",

  pairs: "Pairs",
  pairs_hint: "Above the diagonal, how steady a pair's distance was over the last two minutes (PLV): 1 is always the same, whatever it is. Below, by how many seconds the person of the row is behind (+) or ahead (−) of the one of the column, where the distance was steady enough to say.",
  pairs_wait: "Pairs are told when they have a minute in common that both could be measured.",
  pairs_many: "Pairs are told of groups of up to 20 people.",
  pairs_above: (n: number, of: number, chance: string) => `${n} of ${many(of, "pair")} steadier than strangers are 95 % of the time, marked with a frame. By chance alone it would be about ${chance}.`,
  plv_is: (a: string, b: string, plv: string, seconds: string) => `${a} and ${b}: ${plv} over ${seconds}`,
  lag_is: (a: string, b: string, seconds: number) =>
    Math.abs(seconds) < 0.05 ? `${a} and ${b} are at the same point` : `${seconds > 0 ? a : b} is ${Math.abs(seconds).toFixed(1)} s behind ${seconds > 0 ? b : a}`,
  lag_unsaid: (a: string, b: string) => `${a} and ${b}: no steady distance`,
  pair_unknown: (a: string, b: string) => `${a} and ${b}: needs a minute in common`,
  unknown: "–",
};

export type SessionAct = "start" | "stop" | "discard" | "remove" | "fetch";

/** What the Together view says of sessions. */
export const session_strings = {
  title: "Record a session",
  hint: "Records exactly the group chosen above, watched or not, and makes a report of it.",
  name_field: "Name of the session (optional)",
  name_wrong: "Small letters, digits, dot, dash and underscore; it begins with a letter or digit; 64 characters at most.",
  condition: "Condition",
  conditions: { free: "Free", paced: "Paced", common_stimulus: "Common stimulus" } as Record<string, string>,
  condition_hints: {
    free: "Nothing gave people a pace",
    paced: "They followed a pacer, or counted",
    common_stimulus: "They saw or heard the same",
  },
  condition_why: "It matters because no statistic within a session tells people who follow each other from people who follow the same pacer.",
  too_few: "Choose two people at least.",
  too_many: (max: number) => `A session has ${max} people at most: choose fewer.`,

  act: { start: "Start", stop: "Stop", discard: "Discard", remove: "Delete", fetch: "Save" },
  doing: { start: "Starting…", stop: "Stopping…", discard: "Discarding…", remove: "Deleting…", fetch: "Fetching…" },
  act_on: (act: string, name: string) => `${act}: ${name}`,
  could_not: {
    start: "Could not start the session", stop: "Could not stop the session", discard: "Could not discard it", remove: "Could not delete it", fetch: "Could not fetch it",
  },
  stop_hint: "Ends it and makes the report",

  running: "Recording",
  making: "Making the report",
  elapsed: "elapsed",
  measurable_of: (n: number, of: number) => `${n} of ${of} measurable now`,
  nobody_yet: "nobody in it yet",
  recorded: (length: string) => `${length} recorded`,
  too_short: "a test takes a minute at least",
  left_out: (n: number, max: number | null) => `${many(n, "person", "people")} left out: a session ${max === null ? "is full" : `has ${max} people at most`}.`,
  full: "An hour is recorded, which is as much as a session holds. Stop it to have its report.",
  progress: (percent: number) => `${percent} %`,
  progress_of: (name: string) => `Report of ${name}`,

  started: (name: string) => `${name} is being recorded.`,
  reporting: (name: string) => `${name} has stopped; its report is being made.`,
  done: (name: string) => `The report of ${name} is there.`,
  gone: (name: string) => `${name} is deleted.`,
  saved: (file: string) => `${file} is fetched.`,
  failed_of: (name: string) => `The report of ${name} could not be made.`,
  full_of: (name: string) => `${name} holds an hour, and records no more.`,

  kept: "Sessions",
  loading: "Asking the server…",
  absent: "This server records no sessions.",
  again: "Ask again",
  none: "No sessions yet. Start one above: when you stop it, its report is kept here.",
  failed: "No report could be made",
  broken: "This session cannot be read",
  people: (n: number) => many(n, "person", "people"),
  mean_kappa: (kappa: string) => `mean κ ${kappa}`,
  kappa_why: "The mean likeness of pairs over the whole session: 0 for strangers on average, 1 when all were in step.",
  p: (p: number) => `greatest pair p ${p < 0.001 ? "< 0.001" : `= ${p.toFixed(3)}`}`,
  p_why: (method: string) => `How often strangers' greatest pair is at least as steady as this group's; held against ${method}.`,
  methods: { phase_randomised: "randomised phases", circular_shift: "shifted signals", pseudo_pairs: "pairs of people who were not there together" } as Record<string, string>,
  not_tested: (why: string | null) => (why === null ? "Not tested." : `Not tested: ${why}.`),
  cautions: "Cautions",
  files: { "report.html": "Report", "report.json": "JSON", "report.csv": "CSV", "signals.csv": "Signals" },
  file_hints: {
    "report.html": "The report as a page, in a new tab", "report.json": "Every figure", "report.csv": "R, κ and phases, step by step", "signals.csv": "What was measured of each",
  },
  report_saved: "The report as a page, saved as a file",
  new_tab: "opens in a new tab",
  show_all: (n: number) => `Show all ${n}`,
  delete_title: (name: string) => `Delete ${name}?`,
  delete_text: "The session, its report and its signals are gone for good.",
  delete_yes: "Delete for good",
  discard_title: (name: string) => `Discard ${name}?`,
  discard_text: "Nothing of it is kept, and no report is made.",
  discard_yes: "Discard it",
  keep: "Keep it",
};

/** 0.82, and 0.997: what is not quite 1 is not called so. With a sign that is not a hyphen. */
export function figure_text(value: number, digits = 2): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const text = value.toFixed(digits === 2 && size >= 0.995 && size < 0.9995 ? 3 : digits);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
}

/** What the simulator, its recordings and the time bar say. */
export const simulator_strings = {
  title: "Simulator",
  intro: "Made-up people and devices that go through the same door as real ones, and recordings of what came through it.",
  loading: "Asking the server…",
  absent: "This server has no simulator, or is too old for this page.",
  unreachable: (age: string | null) =>
    age === null ? "The server does not answer. Trying again…" : `The server does not answer. What you see is from ${age} ago. Trying again…`,
  malformed: "The server answers, but not in a way this page can read. Page and server may be of different versions: reload the page.",

  running: "Running",
  nothing_runs: "Nothing is running. Start a scenario below, or play a recording.",
  columns: {
    name: "Name", state: "State", sensors: "Sensors live", rate: "Samples/s", since: "Since", speed: "Speed", controls: "Controls",
  },
  sensors_live: (live: string, asked: string) => `${live} of ${asked}`,
  seed: (seed: number | null) => (seed === null ? "" : `seed ${seed}`),
  replay_of: "Replay of a recording",
  scenario_kind: "Scenario",
  skipped: (length: string) => `skipped ${length} to keep up`,
  states: { running: "Running", paused: "Paused", stopping: "Stopping…", ended: "Ended", unknown: "Unknown" },
  stop_all: "Stop all",
  stop_all_hint: "Stops everything that runs",

  doing: {
    start: "Starting…", stop: "Stopping…", switch: "Switching…", pause: "Pausing…", resume: "Resuming…", speed: "Changing…",
    seek: "Seeking…", record: "Starting…", end: "Finishing…", remove: "Deleting…", play: "Opening…", fetch: "Fetching…",
  },
  act: {
    start: "Start", stop: "Stop", switch: "Switch to this", pause: "Pause", resume: "Resume", speed: "Speed", seek: "Go there", record: "Record",
    end: "Stop recording", remove: "Delete", play: "Play", fetch: "Download",
  },
  act_on: (act: string, name: string) => `${act}: ${name}`,
  speed_of: (name: string) => `Speed of ${name}`,
  switch_hint: "Stops everything else",
  done: {
    start: (name: string) => `${name} is running.`,
    stop: (name: string) => `${name} has stopped.`,
    switch: (name: string) => `Switched to ${name}.`,
    pause: (name: string) => `${name} is paused.`,
    resume: (name: string) => `${name} goes on.`,
    speed: (name: string) => `The speed of ${name} is changed.`,
    seek: () => "",
    record: () => "Recording.",
    end: (name: string) => `${name} is recorded.`,
    remove: (name: string) => `${name} is deleted.`,
    play: (name: string) => `${name} plays.`,
    fetch: (name: string) => `${name} is fetched.`,
  },
  could_not: {
    start: "Could not start it", stop: "Could not stop it", switch: "Could not switch to it", pause: "Could not pause it",
    resume: "Could not resume it", speed: "Could not change the speed", seek: "Could not go there", record: "Could not start recording",
    end: "Could not finish the recording", remove: "Could not delete it", play: "Could not play it", fetch: "Could not fetch it",
  },
  everything: "Everything",

  health: {
    title: "Health",
    unknown: "The server does not say how its made-up sensors are.",
    not_yet: (every: string) => `Not checked yet. The check runs every ${every}.`,
    well: "All sensors that should be there are there, and no others.",
    checked: (age: string, every: string) => `Checked ${age} ago, every ${every}.`,
    orphans: (n: number) => `${many(n, "sensor is", "sensors are")} still there though nothing runs that owns ${n === 1 ? "it" : "them"}.`,
    missing: (n: number) => `${many(n, "sensor", "sensors")} that should be there ${n === 1 ? "is" : "are"} missing.`,
    unwell: "The last check found something wrong, and does not say what.",
    repaired: (n: number) => `${many(n, "sensor has", "sensors have")} been put right since the server started.`,
    which: "Which ones",
    orphan_list: "Left over",
    missing_list: "Missing",
    more: (n: number) => `and ${count_text(n)} more`,
  },

  scenarios: "Scenarios",
  search: "Search scenarios",
  search_hint: "Search by name or description",
  shown: (shown: number, total: number) => (shown === total ? `${total} scenarios` : `${shown} of ${total} scenarios`),
  no_match: "No scenario matches the search.",
  no_scenarios: "The server offers no scenarios. Put your own into the folder scenarios of its data folder, as TOML or YAML.",
  origin: { shipped: "Shipped", yours: "Yours" },
  people: "people",
  person: "person",
  sensors: "sensors",
  sensor: "sensor",
  attributes: "attributes",
  attribute: "attribute",
  samples_per_s: "samples/s",
  viewers: (n: number) => `Brings ${many(n, "made-up viewer")}.`,
  broken: "This file cannot be used",
  options: "Seed and speed",
  options_of: (name: string) => `Seed and speed of ${name}`,
  seed_field: "Seed",
  seed_hint: "A whole number. The same seed gives the same world; left empty, the server takes its usual one.",
  seed_wrong: "A seed is a whole number from 0 to 9007199254740991.",
  speed_field: "Speed",

  recordings: "Recordings",
  recordings_jump: (n: number) => (n === 0 ? "Recordings" : `Recordings (${n})`),
  no_recordings: "No recordings yet. Record keeps everything that crosses the server's door, with its time, in one file that can be played again.",
  recordings_absent: "This server keeps no recordings.",
  used: (used: string, of: string | null) => (of === null ? used : `${used} of ${of}`),
  name_field: "Name of the recording (optional)",
  name_hint: "Name (optional)",
  name_wrong: "Small letters, digits, dot, dash and underscore; it begins with a letter or digit; 64 characters at most.",
  recording_now: "Recording",
  samples: (n: number) => many(n, "sample"),
  sensors_of: (n: number) => many(n, "sensor"),
  cut: "Cut: plays up to the end of what was written",
  hash: (short: string) => `hash ${short}`,
  hash_why: (hash: string) => `What was delivered, in one number. A replay that gives the same has reproduced every delivery: ${hash}`,
  damaged: "This recording cannot be read",
  delete_title: (name: string) => `Delete ${name}?`,
  delete_text: (size: string) => `The recording and its ${size} are gone for good. Download it first if you may want it again.`,
  delete_yes: "Delete for good",
  keep: "Keep it",

  time_bar: "Replay",
  time_bar_of: (name: string) => `Replay of ${name}`,
  which_replay: "Which replay",
  position: "Position",
  at_of: (at: string, of: string) => `${at} of ${of}`,
  play_again: "Play again",
  recorded: (moment: string) => `Recorded ${moment}`,
  over: "The recording is over.",
  keys_time_bar: "Arrow keys move by 1 second, with Shift by 10, Page Up and Page Down by a minute, Home and End to the ends.",
};

/** What the System page says. */
export const system_strings = {
  title: "System",
  intro: "How hard this server works, and what becomes of every sample that somebody asks for.",
  loading: "Asking the server…",
  absent: "This server tells nothing of itself: it is too old for this page.",
  malformed: "The server answers, but not in a way this page can read. Page and server may be of different versions: reload the page.",
  stale: (age: string | null) =>
    age === null ? "The server does not answer. Trying again…" : `The server does not answer. What you see is from ${age} ago. Trying again…`,
  failed: (why: string, age: string | null) => (age === null ? `${why} Trying again…` : `${why} What you see is from ${age} ago. Trying again…`),
  not_told: "The server does not say.",
  pause: "Pause",
  resume: "Resume",
  paused: "Paused: nothing is asked, and nothing moves.",
  version: (version: string, up: string) => `Version ${version}, running for ${up}`,

  levels: { normal: "Normal", elevated: "Elevated", high: "High", critical: "Critical" },
  headline: (level: string, by: string | null) => (by === null ? level : `${level}: ${by}`),
  means: {
    normal: "There is enough for everyone.",
    elevated: "What is merely seen comes a little less often.",
    high: "What is merely seen comes less often. What is looked at closely comes in full.",
    critical: "What is merely seen comes seldom. What is looked at closely still comes in full.",
  },
  level_is: (level: "normal" | "elevated" | "high" | "critical", by: string | null): string =>
    `Load is now ${level}${by === null ? "" : `: ${RESOURCE_SHORT[by] ?? by}`}.`,
  protection_is: (on: boolean) => (on ? "Memory protection is on." : "Memory protection is off."),
  pressure_now: "Pressure now",
  pressure_why: "The worst of the six below.",
  since: "For",
  weighted: "Weighted",
  weighted_why: (parts: string) => `Mean by the weights ${parts}. The level follows this mean or the worst of the six, whichever asks for more.`,
  protection: "Memory protection",
  on: "On",
  off: "Off",
  protection_why: "On, devices are slowed down so that memory lasts.",
  moved: "Thresholds moved",
  moved_why: "By learning from delivery ages, and by the time of day. 0: as configured.",
  not_moved: "Not moved",

  pressures: "Pressures",
  pressures_hint: "Each as a share of its own limit. A level begins at its solid line and ends below its dashed one.",
  resources: {
    cpu: "Processor, this server", cpu_system: "Processor, whole machine", queue: "Queues inside", tick: "Time for a tick",
    broadcast: "Lines to viewers", memory: "Memory",
  },
  resource_whys: {
    cpu: "Processor time this server uses, of what it may use",
    cpu_system: "Processor time this server uses, of what others on the machine leave it",
    queue: "How long samples wait inside before they are taken: the worst queue",
    tick: "Time that one round of all work takes, of the time there is",
    broadcast: "How long data wait at the slower quarter of the viewers' lines",
    memory: "Memory, of what this server may use",
  },
  of: (measured: string, limit: string) => `${measured} of ${limit}`,
  cores: (n: string) => `${n} ${n === "1" ? "core" : "cores"}`,
  decides: "decides",
  read_plot: (name: string) => `Read the plot: ${name}`,
  plot_label: (name: string) => `${name}, the last five minutes`,
  now: "now",
  ago: (age: string) => `${age} ago`,
  minutes_ago: "5 min ago",
  read_at: (age: string) => `All plots are read ${age} ago.`,
  back_to_now: "Back to now",
  as_table: "As a table",
  as_plots: "As plots",
  time: "Time",
  level: "Level",
  no_point: "nothing known",

  flow: "From asked to delivered",
  flow_hint: "Samples a second that viewers ask for, by how closely they look, and what becomes of them.",
  flow_none: "Nobody is looking: nothing is asked for.",
  flow_full: (n: string) => `Nothing is taken: all ${n} samples a second that are asked for are delivered.`,
  flow_part: (delivered: string, asked: string, share: string) => `${delivered} of ${asked} samples a second are delivered (${share}).`,
  flow_took: (parts: string) => `Taken: ${parts}.`,
  contended: (n: string | null) => (n === null ? "There is not enough for all: it is shared out." : `There is not enough for all: ${n} samples a second are shared out.`),
  attentions: { high: "Looked at closely", medium: "Seen", low: "Seen, battery low" },
  attentions_short: { high: "Closely", medium: "Seen", low: "Battery low" },
  auto_up_to: (best: string) => `Auto, up to ${best.toLowerCase()}`,
  attention_names: { none: "not watched", low: "low", medium: "medium", high: "high" } as Record<string, string>,
  asked: "Asked",
  allowed: "Allowed",
  delivered: "Delivered",
  per_s: (n: string) => `${n}/s`,
  asked_n: (n: string) => `${n}/s asked`,
  delivered_n: (n: string) => `${n}/s delivered`,
  taken_n: (n: string) => `−${n}/s`,
  took: "Taken",
  took_n: (layer: string, n: string) => `${layer}: ${n}/s`,
  layers: {
    asked: "Viewers' own choice", device: "Devices' pace", intake: "Intake limits", storage: "Memory for samples", budget: "Budget of the server",
    socket: "Viewers' lines", health: "Viewers' browsers", other: "On the way, or not told",
  } as Record<string, string>,
  /** Where there is little room. */
  layers_short: {
    asked: "Choice", device: "Devices", intake: "Intake", storage: "Memory", budget: "Budget", socket: "Lines", health: "Browsers", other: "Other",
  } as Record<string, string>,
  by_attention: "By attention",
  by_layer: "By layer",
  layer: "Layer",
  flow_plot: "Asked and delivered",
  samples_per_s: "samples/s",

  classes: "What comes in, by class",
  classes_hint: "Each class has a queue and a share of its own, so that a flood of one does not hold up another.",
  class: "Class",
  class_names: {
    bio: "Body", motion: "Motion", location: "Location", environment: "Surroundings", device: "Devices", all: "All",
  } as Record<string, string>,
  class_columns: { in: "In/s", accepted: "Accepted/s", dropped: "Dropped/s", quota: "Quota/s", queued: "Waiting" },
  no_limit: "no limit",

  storage: "Memory for samples",
  storage_of: (bytes: string, limit: string) => `${bytes} of ${limit}`,
  storage_hot: "Recent samples kept",
  storage_warm: "Older samples kept",
  storage_times: (n: string) => `${n} of usual`,
  squeeze: "Squeezed",
  squeeze_n: (n: number) => (n === 0 ? "no" : `${n} ${n === 1 ? "time" : "times"} over`),
  storage_why: "How far buffers are cut so that memory lasts",

  pacing: "Pace of devices",
  pacing_hint: "What devices are told, by how closely anyone looks at them.",
  pacing_columns: { level: "Attention", window: "Every", batch: "Samples at once", paused: "State" },
  device_paused: "paused",
  device_sends: "sends",

  viewers: "Viewers",
  viewers_open: (n: string) => `${n} ${n === "1" ? "viewer" : "viewers"} connected.`,
  viewers_none: "No viewer is connected.",
  by_quality: "By quality",
  by_limit: "Held back by",
  unlimited: "nothing",
  qualities: { high: "High", medium: "Medium", low: "Low", minimal: "Minimal", paused: "Paused" } as Record<string, string>,
  top_viewers: "Top viewers",
  top_sensors: "Top sensors",
  no_sensors: "No sensor is sending.",
  viewer: "Viewer",
  sensor: "Sensor",
  viewer_columns: {
    choice: "Asks for", strong: "Closely", rest: "Seen", limited: "Held back by", asked: "Asked/s", allowed: "Allowed/s", delivered: "Delivered/s", waiting: "Waiting", health: "Browser",
  },
  sensor_columns: { class: "Class", level: "Attention", in: "In/s", viewers: "Viewers" },
  points: (n: string) => `${n} of 100`,
  sort_by: (column: string) => `Sort by ${column}`,
  pick_viewer: (n: string) => `Explain viewer ${n}`,
  pick_sensor: (id: string) => `Explain sensor ${id}`,

  decision: "Why does a viewer get what it gets?",
  decision_hint: "Choose a viewer and a sensor in the tables above.",
  decision_of: (viewer: string, sensor: string) => `Viewer ${viewer}, sensor ${sensor}`,
  decision_viewer: (viewer: string) => `Viewer ${viewer} is chosen. Now choose a sensor.`,
  decision_sensor: (sensor: string) => `Sensor ${sensor} is chosen. Now choose a viewer.`,
  decision_unknown: "The server no longer knows this viewer or this sensor.",
  signal: "Signal",
  all_signals: "All signals",
  clear: "Clear",
  forms: { raw: "every sample", latest: "the latest", digest: "summaries", none: "nothing" } as Record<string, string>,
  decision_is: (asked: string, allowed: string, delivered: string, form: string) =>
    `Asked ${asked}/s, allowed ${allowed}/s, delivered ${delivered}/s, as ${form}.`,
  decision_limit: (layer: string) => `Held back by: ${layer}.`,
  decision_free: "Nothing holds it back.",
  allows: (n: string | null) => (n === null ? "no limit" : `${n}/s`),
  limits_here: "limits",

  bio: "What it learns",
  bio_hint: "Each part is useful by itself, and the rest goes on without it.",
  bio_names: {
    novelty: "Novelty", forecast: "Forecast", correlation: "Seen together", homeostasis: "Balance", arbiter: "Sharing", circadian: "Time of day",
  },
  novelty_is: (lifted: number, events: number) =>
    events === 0 ? "Nothing out of the ordinary since the start." : `${many(events, "surprise")} since the start; ${lifted === 0 ? "no signal is" : `${many(lifted, "signal is", "signals are")}`} lifted now.`,
  forecast_is: (known: number, warmed: number) => `Knows the habits of ${many(known, "signal")}; ${warmed === 0 ? "none is" : many(warmed, "is", "are")} warmed up ahead of time now.`,
  forecast_off: "Off: tried on the past, it does not beat having no forecast.",
  forecast_learning: (known: number) => `Learning: it has seen ${many(known, "signal")}, and is not yet tried on the past.`,
  forecast_score: (score: string, baseline: string) => `Hits ${score}, without forecast ${baseline}.`,
  correlation_is: (pairs: number) => (pairs === 0 ? "Knows no signals yet that are looked at together." : `Knows ${many(pairs, "pair")} of signals that are looked at together.`),
  correlation_off: "Off: tried on the past, it does not help the forecast.",
  homeostasis_is: (p99: string | null, target: string) => (p99 === null ? `Nothing delivered to judge by; aims at ${target}.` : `99 of 100 deliveries take ${p99} or less; aims at ${target}.`),
  homeostasis_moves: (offset: string) => `Thresholds moved by ${offset}.`,
  homeostasis_drops: (share: string) => `${share} dropped.`,
  homeostasis_saturated: "It may move them no further.",
  arbiter_enough: "There is enough: nothing is shared out.",
  arbiter_shares: (budget: string | null, parts: string) => `${budget === null ? "Shares out what there is" : `Shares out ${budget} updates a second`}${parts === "" ? "" : `: ${parts}`}.`,
  arbiter_part: (level: string, count: string, share: string) => `${level} (${count}) gets ${share} of what it asks`,
  circadian_is: (hour: string, factor: number, confidence: string) =>
    `At ${hour} it expects ${Math.abs(factor - 1) < 0.005 ? "the usual load" : `${Math.abs(Math.round((factor - 1) * 100))} % ${factor > 1 ? "more" : "less"} load than usual`}; ${confidence} sure.`,
  novelties: "Recent surprises",
  no_novelties: "None yet.",
  novelty_columns: { when: "When", sensor: "Sensor", signal: "Signal", z: "How unusual", boost: "Lifted for" },
  sigmas: (z: number) => `${z < 0 ? "−" : ""}${Math.abs(z).toFixed(1)} σ`,

  ages: "How old samples are",
  ages_hint: "From the moment each stage begins to its end, in milliseconds. 99 of 100 are younger than p99.",
  ages_all: "Each class",
  ages_few: "All classes as one",
  ages_none: "No sample has been followed yet.",
  age_of: (stage: string, of: string) => `${stage}, ${of.toLowerCase()}`,
  ages_columns: { stage: "Stage", p50: "p50", p95: "p95", p99: "p99", count: "Samples" },
  stages: { device: "From the device", intake: "Taken in", route: "Routed", outbox: "Waiting for the line", delivery: "In all" } as Record<string, string>,
  ages_plot: "Delivery age, p99",

  engine: "Systems of the engine",
  engine_hint: "What runs in each tick. One that fails is restarted, and at last switched off; the rest goes on.",
  engine_columns: { name: "System", state: "State", micros: "Time", panics: "Failures" },
  running: "runs",
  switched_off: "switched off",
  micros: (n: string) => `${n} µs`,
  some_off: (n: number) => `${many(n, "is", "are")} switched off.`,

  drops: "Dropped, by reason",
  drops_none: "Nothing has been dropped.",
  drops_columns: { reason: "Reason", ledger: "Where", per_s: "Now/s", count: "Since the start" },
  ledgers: { store: "in memory", lens: "on the way out", door: "at the door" } as Record<string, string>,
  balanced: "The books balance: every sample that came in was delivered, kept or is counted here.",
  unbalanced: "The books do not balance: a sample went missing without a reason. This is a fault of the server.",

  traces: "One sample at a time",
  traces_hint: "Some samples are followed through every stage. The longer the bar, the longer it took.",
  traces_none: "No sample has been followed yet: somebody must look at one.",
  trace_viewers: (n: number) => many(n, "viewer"),
  trace_stages: { device: "device", door: "door", tick: "tick", flush: "flush", written: "written" } as Record<string, string>,
  trace_part: (from: string, to: string) => `${from} to ${to}`,
  trace_more: (n: number) => `Show all ${n}`,
  trace_fewer: "Show fewer",
  unfinished: "not written yet",
};

/** Short enough for the headline. */
const RESOURCE_SHORT: Record<string, string> = {
  cpu: "CPU", cpu_system: "CPU of the machine", queue: "queues", tick: "tick time", broadcast: "viewers' lines", memory: "memory",
};
export function resource_short(resource: string): string {
  return RESOURCE_SHORT[resource] ?? resource;
}

/** A word of the server's that the page may not know: as it is, but readable. */
export function word_of(known: Record<string, string>, word: string): string {
  return known[word] ?? word.replaceAll("_", " ");
}

export function percent_text(share: number): string {
  if (!Number.isFinite(share)) return "–";
  const percent = share * 100;
  return `${percent > 0 && percent < 9.95 ? percent.toFixed(1) : Math.round(percent)} %`;
}

/** `0.42 ms`, `3.2 ms`, `120 ms`, `12 s`. */
export function ms_text(ms: number): string {
  if (!Number.isFinite(ms)) return "–";
  const size = Math.abs(ms);
  if (size >= 10_000) return age_text(ms);
  return `${size === 0 ? "0" : size < 1 ? ms.toFixed(2) : size < 10 ? ms.toFixed(1) : whole.format(ms)} ms`;
}

/** A count that the server may not tell. */
export function known_text(count: number | null): string {
  return count === null ? "–" : count_text(count);
}

/** A viewer's number is its place, and how many were there before it; the second only where there were some. */
export function viewer_text(viewer: number): string {
  const place = viewer % 2 ** 32;
  const before = Math.floor(viewer / 2 ** 32);
  return before === 0 ? `${place}` : `${place}.${before}`;
}

/** With its sign, so that a direction is seen. */
export function moved_text(offset: number): string {
  return `${offset > 0 ? "+" : "−"}${percent_text(Math.abs(offset))}`;
}

export type SimulatorAct = keyof typeof simulator_strings.could_not;

/** What a person can do about it stands in the sentence. The server's own words come first where it has any. */
const REFUSALS: Record<string, string> = {
  already_running: "It is running already.",
  sensor_clash: "Some of its sensors are there already: stop what has them first.",
  scenario_not_found: "The server no longer has it.",
  scenario_invalid: "Its file has a mistake.",
  not_running: "It is not running any more.",
  not_a_replay: "Only a replay has a place to go to.",
  already_recording: "A recording is under way already.",
  not_recording: "No recording is under way.",
  unconfirmed: "The server said yes, but it has not happened yet.",
};

/** A fault in words. `kind`, `code` and `sentence` are those of `ask.ts`. */
export function fault_text(fault: { kind: string; status: number; code: string; sentence: string }): string {
  switch (fault.kind) {
    case "denied": return "The server asks for an access token.";
    case "unreachable": return "The server does not answer.";
    case "late": return "The server did not answer in time; it may still do it.";
    case "malformed": return "The server's answer could not be read.";
    case "absent": return "This server cannot do that.";
  }
  const said = fault.sentence.trim() || REFUSALS[fault.code] || `The server said no (${fault.status}).`;
  // A sentence begins with a word; the name of a file stays as it is.
  const sentence = /^[a-z]+[ ,]/.test(said) ? said.charAt(0).toUpperCase() + said.slice(1) : said;
  return /[.!?…]$/.test(sentence) ? sentence : `${sentence}.`;
}

const UNITS: Record<string, string> = {
  ecg: "mV", heartrate: "bpm", hr: "bpm", hrv: "ms", spo2: "%", respiration: "%", temperature: "°C", humidity: "%",
  pressure: "hPa", light: "lx", battery: "%", altitude: "m", speed: "m/s", heading: "°", steps: "steps",
  distance: "m", calories: "kcal", accelerometer: "m/s²", gyroscope: "°/s", magnetometer: "µT",
};
export function unit_of(attribute_type: string): string {
  return UNITS[attribute_type] ?? "";
}

/**
 * What stands behind a number: its unit; of several numbers, which one it is (`x, m/s²`); of a number of
 * no kind, what its device calls it. `cell` is the cell's path in the payload, empty for a bare number.
 */
export function value_caption(attribute_type: string, attribute_id: string, cell: string): string {
  const [kind = "", ...rest] = cell.split(".");
  const unit = unit_of(attribute_type) || (rest.length > 0 ? unit_of(kind) : "");
  const which = /^(value|bpm|level|level_percent|celsius)$/.test(cell) && unit !== "" ? "" : (rest.at(-1) ?? kind);
  if (which !== "" && which !== unit) return unit === "" ? which.replaceAll("_", " ") : /^[xyz]$/.test(which) ? `${which}, ${unit}` : unit;
  return unit || (attribute_type === "numeric" ? type_name(attribute_id) : "");
}

const TYPES: Record<string, string> = {
  ecg: "ECG", ph: "pH", hrv: "HRV", hr: "Heart rate", heartrate: "Heart rate", spo2: "SpO₂", imu: "Motion", eye_gaze: "Gaze",
  air_quality: "Air quality", geolocation: "Location", rich_presence: "Presence", numeric: "Value",
};
/** The words in a payload, without its braces: what a tile has room for. */
export function payload_words(json: string): string {
  try {
    const value = (JSON.parse(json) as { payload?: unknown }).payload;
    if (typeof value !== "object" || value === null) return String(value ?? "");
    const words = Object.entries(value).filter(([, v]) => typeof v !== "object");
    return words.map(([key, v]) => `${key}: ${String(v)}`).join("\n");
  } catch {
    return json;
  }
}

/** `skin_temperature` -> `Skin temperature`, unless the trade has a better word. */
export function type_name(type: string): string {
  const known = TYPES[type];
  if (known !== undefined) return known;
  const plain = type.replaceAll("_", " ");
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}

const WHOLE = new Set(["heartrate", "hr", "hrv", "spo2", "battery", "steps", "heading", "light"]);

/** As many decimals as the kind deserves: none for beats, else fewer the larger, so that the width stays. */
export function number_text(value: number, attribute_type = ""): string {
  if (!Number.isFinite(value)) return "–";
  if (WHOLE.has(attribute_type)) return value.toFixed(0);
  const size = Math.abs(value);
  const text = value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
  return Number(text) === 0 ? text.replace("-", "") : text;
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export function count_text(value: number): string {
  if (value > 0 && value < 0.95) return value.toFixed(1);
  return whole.format(Math.max(0, value));
}

const some = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });

/** Samples per second: `13,055`, `6.8`, `0.05`. */
export function rate_text(value: number): string {
  return value < 100 ? some.format(Math.max(0, value)) : count_text(value);
}

export function age_text(ms: number): string {
  if (!Number.isFinite(ms)) return "–";
  const s = Math.max(0, ms) / 1000;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 90) return `${Math.round(s)} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  return `${Math.round(s / 3600)} h`;
}
