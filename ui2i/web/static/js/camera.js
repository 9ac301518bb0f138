/** @file A picture from the camera. */

import {byId} from "./page.js";

const dialog = /** @type {HTMLDialogElement} */ (byId("camera-dialog"));
const video = /** @type {HTMLVideoElement} */ (byId("camera-video"));
const take = /** @type {HTMLButtonElement} */ (byId("camera-take"));
const message = byId("camera-message");

/** @returns {Promise<File | undefined>} The picture; undefined: the visitor took none. */
export async function takePicture() {
  take.disabled = true;
  message.textContent = "Starting the camera…";
  dialog.showModal();
  /** @type {MediaStream | undefined} */
  let stream;
  const closed = new Promise(resolve => dialog.addEventListener("close", resolve, {once: true}));
  try {
    stream = await navigator.mediaDevices.getUserMedia({video: {facingMode: "user"}});
    video.srcObject = stream;
    await video.play();
    message.textContent = "";
    take.disabled = false;
  } catch (error) {
    message.textContent = `${whyNot(/** @type {Error} */ (error))} Or choose an image instead.`;
  }
  await closed;
  let picture;
  if (dialog.returnValue === "take" && video.videoWidth > 0) picture = await snapshot();
  stream?.getTracks().forEach(track => track.stop());
  video.srcObject = null;
  dialog.returnValue = "";
  return picture;
}

/** @param {Error} error @returns {string} */
function whyNot({name, message: words}) {
  if (!window.isSecureContext) return "Browsers give the camera only to pages over HTTPS.";
  if (name === "NotAllowedError") return "This page may not use the camera. Allow it in the browser's settings.";
  return name === "NotFoundError" ? "No camera was found." : `The camera cannot be used: ${words}.`;
}

/** @returns {Promise<File>} */
async function snapshot() {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d")?.drawImage(video, 0, 0);
  const blob = await new Promise(resolve => canvas.toBlob(resolve, "image/png"));
  return new File([blob], `camera ${new Date().toISOString().slice(0, 19).replace(/:/g, ".")}.png`);
}
