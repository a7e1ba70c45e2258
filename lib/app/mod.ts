/** What is done with a call: the App interface, and the apps that come with the server. */
export * from "./app.ts";
export * from "./audio_frame.ts";
export * from "./recorder.ts";
