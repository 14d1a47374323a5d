"""Answers of ONVIF devices, in the bytes in which they were seen."""

from __future__ import annotations

from tests.fakes.hostile import http

NOBODY = http(404, b"<html><body>404 Not Found</body></html>")
REFUSED = http(
    500,
    b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><s:Fault><s:Code>'
    b"<s:Value>s:Receiver</s:Value><s:Subcode><s:Value>ter:ActionNotSupported</s:Value></s:Subcode>"
    b"</s:Code></s:Fault></s:Body></s:Envelope>",
)
WORDLESS = http(
    500, b"<Envelope><Body><Fault><Code><Value>s:Receiver</Value></Code></Fault></Body></Envelope>"
)
DENIED = http(
    400,
    b"<Envelope><Body><Fault><Code><Value>s:Sender</Value><Subcode><Value>ter:NotAuthorized</Value>"
    b"</Subcode></Code><Reason><Text>\xbc\xf8\xc8\xa8\xca\xa7\xb0\xdc</Text></Reason></Fault></Body></Envelope>",
)
INFORMATION = (
    "<GetDeviceInformationResponse><Manufacturer>Tidal</Manufacturer><Model>TC-2</Model>"
    "</GetDeviceInformationResponse>"
)
PROFILES = (
    "<GetProfilesResponse><Profiles token='p1'><Name>Main</Name></Profiles></GetProfilesResponse>"
)
GOOD = {
    "GetSystemDateAndTime": "<UTCDateTime><Time><Hour>10</Hour><Minute>0</Minute><Second>0</Second></Time>"
    "<Date><Year>2026</Year><Month>11</Month><Day>23</Day></Date></UTCDateTime>",
    "GetDeviceInformation": INFORMATION,
    "GetProfiles": PROFILES,
    "GetStreamUri": "<Uri>rtsp://192.168.1.64/live</Uri>",
    "GetSnapshotUri": "<Uri>http://192.168.1.64/snap.jpg</Uri>",
}
