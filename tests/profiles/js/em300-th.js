// A codec for tests in the manner of LoRaWAN sensors that send channel, type and value.
function decodeUplink(input) {
  var data = {};
  var bytes = input.bytes;
  for (var at = 0; at < bytes.length; ) {
    var key = bytes[at] * 256 + bytes[at + 1];
    at += 2;
    if (key === 0x0175) {
      data.battery = bytes[at];
      at += 1;
    } else if (key === 0x0367) {
      data.temperature = ((bytes[at] | (bytes[at + 1] << 8)) << 16 >> 16) / 10;
      at += 2;
    } else if (key === 0x0468) {
      data.humidity = bytes[at] / 2;
      at += 1;
    } else if (key === 0x20ce) {
      data.history = data.history || [];
      data.history.push({
        timestamp: (bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 | bytes[at + 3] << 24) >>> 0,
        temperature: ((bytes[at + 4] | bytes[at + 5] << 8) << 16 >> 16) / 10,
        humidity: bytes[at + 6] / 2,
      });
      at += 8;
    } else {
      return { errors: ["unknown channel " + key.toString(16)] };
    }
  }
  return { data: data };
}
