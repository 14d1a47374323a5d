// A codec of our own that has every function of the API.
var INTERVAL = 0x03;
function decodeUplink(input) {
  if (input.fPort !== 85) return { errors: ["unknown port " + input.fPort] };
  if (input.bytes.length < 3) throw new Error("too short");
  var raw = (input.bytes[0] << 24 >> 16) | input.bytes[1];
  return { data: { temperature: raw / 10, battery: input.bytes[2], status: raw < 0 ? "frost" : "ok" }, warnings: [] };
}
function normalizeUplink(input) {
  return { data: [{ air: { temperature: input.data.temperature } }] };
}
function encodeDownlink(input) {
  var minutes = input.data.minutes;
  if (!(minutes >= 1 && minutes <= 1440)) return { errors: ["minutes: 1 to 1440"] };
  return { bytes: Buffer.from([INTERVAL, minutes >> 8, minutes & 255]), fPort: 85 };
}
function decodeDownlink(input) {
  return { data: { minutes: (input.bytes[1] << 8) | input.bytes[2] } };
}
