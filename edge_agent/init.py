"""Write a site's first files: edge.yaml with every key explained, devices.csv, folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_agent.cameras.seal import SiteKey
from edge_agent.config import load_edge_config
from gateway_core.errors import ConfigError, Fault

SAMPLE = """\
# The edge agent of {id}. Relative paths are relative to this file's folder.
# Every key can also come from the environment: TIDEGATE_<SECTION>__<KEY>.
# After a change: tidegate edge check --config {file}

edge:
  id: {id}
  area: "{area}"              # GB/T 2260 prefix or any code of the area tree
  data_dir: {data_dir}             # spool, archive, registry and ledger
  # max_payload: 256KiB       # longer payloads are refused as too_large, and kept

{mqtt}
{mqtt_listen}
coap:
  listen: "{coap}"

profiles: [./profiles]        # folders, beside the catalogue that ships

devices:
  file: devices.csv           # id,profile,address[,name,lat,lon]
  unknown: {unknown}          # register | hold | refuse: matched by a profile, listed by nobody
  # limit: 100000             # devices that may enter themselves

# cameras:
#   file: feeds.csv           # id,name,host,onvif_port,rtsp_url,username,password_file,area,...
#   sweep: 60s                # every feed is judged once in this time
#   key_file: secrets/cameras.key # seals the passwords; keep a copy of it elsewhere
#   events: true              # listen to what ONVIF devices say by themselves

# systems:
#   file: systems.yaml        # systems: [{{id, name, kind: tcp|http, target, every, timeout}}]

spool:
  max_bytes: 20GiB
  group_commit: 20ms
  when_full: wait             # wait: senders are not acknowledged | evict: telemetry is given up
  evict: [thin, oldest]       # readings become min/mean/max a minute, then the oldest go; no alarm
  keep: 1d                    # how long what everybody has stays for re-sending and queries

archive:
  keep: 30d
  max_bytes: 200GiB

raw:                          # what came in, as it came: another profile version is tried on it
  keep: 7d                    # 0s: nothing is kept raw
  max_bytes: 1GiB

# egress:
#   file: egress.yaml         # left out: only fields that their profile lets out

uplink:
  url: {uplink}               # https:// with certificates once enrolled
  # ca_file: secrets/ca.pem
  # cert_file: secrets/edge.pem
  # key_file: secrets/edge.key
  # token_file: secrets/uplink.token
  # backlog_share: 0.3        # of the uplink, for old records while new ones come; alarms go first
  # bandwidth: 2Mbit/s        # most that uploads take; left out: as fast as it goes

# catalogue:                  # profiles that the centre sends; left out: nothing is fetched
#   key_file: registry.pub    # of the centre: tidegate collector profiles keys --registry
#   every: 30s                # how often its plan is asked for

admin:
  listen: "{admin}"           # GET /healthz /metrics /status; POST /query (on-site history)
"""

BROKER = """\
mqtt:                         # a list: several brokers are normal
  - name: site
    url: {url}               # mqtts:// for TLS
    # version: 5              # or 3.1.1
    # username: agent         # with password_file
    # password_file: secrets/mqtt.password
    # ca_file: secrets/ca.pem
    # cert_file: secrets/agent.pem
    # key_file: secrets/agent.key
    # subscribe: ["tg/+/up"]  # left out: the topics that the loaded profiles name
    # shared_group: agents    # share the topics with other agents of this group
    # receive_maximum: 4000   # messages on their way before the first is acknowledged
    # max_packet: 4MiB        # the broker drops longer packets by itself
"""

LISTENER = """\
mqtt_listen:                  # devices connect to the agent itself; a broker may be there as well
  - listen: "{listen}"
{who}
    # tls: {{cert_file: secrets/edge.pem, key_file: secrets/edge.key}}
"""

USUAL_BROKER = "mqtt://127.0.0.1:1883"
CAMERAS_KEY = Path("secrets/cameras.key")
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
ANYBODY = "    anonymous: true           # whoever is on this machine"
USERS = "    users_file: secrets/users # tidegate edge users add ID --file secrets/users"
USERS_NOTE = "# name:hash, one a line; tidegate edge users add ID --file users\n"

DEVICES = "id,profile,address,name,lat,lon\n"


@dataclass(frozen=True, slots=True)
class Answers:
    """What `write_site` needs to know.

    Attributes:
        id: Of the edge.
        area: Its area code.
        mqtt: URL of the broker; None: there is none, or, without a listener, the usual one.
        mqtt_listen: Where devices connect to the agent itself; None: nowhere.
        coap: Where to listen for CoAP.
        uplink: URL of the collector.
        admin: Where to listen for the administrator.
        unknown: What happens to devices that nobody listed.
        data_dir: Where the agent keeps its data.
    """

    id: str
    area: str = ""
    mqtt: str | None = None
    mqtt_listen: str | None = None
    coap: str = "[::]:5683"
    uplink: str = "http://127.0.0.1:8090"
    admin: str = "127.0.0.1:9180"
    unknown: str = "register"
    data_dir: str = "./var"


def write_site(folder: Path, answers: Answers) -> list[Path]:
    """Write the files of a site and check what was written.

    Args:
        folder: Made if need be.
        answers: What goes into edge.yaml.

    Returns:
        What was made, edge.yaml first.

    Raises:
        ConfigError: A file is there already (nothing is overwritten), cannot be written, or an
            answer is not acceptable.
    """
    config, devices = folder / "edge.yaml", folder / "devices.csv"
    taken = [path for path in (config, devices) if path.exists()]
    if taken:
        message = "is there already; move it away or choose another folder"
        raise ConfigError(*(Fault(path, 0, 0, "", message) for path in taken))
    text = SAMPLE.format(
        file=config.name,
        id=answers.id,
        area=answers.area,
        mqtt=_broker(answers),
        mqtt_listen=_listener(answers),
        coap=answers.coap,
        uplink=answers.uplink,
        admin=answers.admin,
        unknown=answers.unknown,
        data_dir=answers.data_dir,
    )
    folders = [folder, folder / "profiles", folder / "secrets", folder / "var"]
    try:
        for each in folders:
            mode = 0o700 if each.name in {"secrets", "var"} else 0o755
            each.mkdir(mode, parents=True, exist_ok=True)
        config.write_text(text, encoding="utf-8")
        devices.write_text(DEVICES, encoding="utf-8")
        users = folder / "secrets" / "users"
        if USERS in text and not users.exists():
            users.touch(0o600)
            users.write_text(USERS_NOTE, encoding="utf-8")
        key = SiteKey(folder / CAMERAS_KEY)
        if not key.exists:
            key.make()
            key.keep()
    except OSError as exc:
        message = f"cannot be written: {exc.strerror}"
        raise ConfigError(Fault(exc.filename or folder, 0, 0, "", message)) from exc
    try:
        load_edge_config(config)
    except ConfigError:
        config.unlink()
        devices.unlink()
        raise
    return [config, devices, *folders[1:]]


def _broker(answers: Answers) -> str:
    wanted = answers.mqtt is not None or answers.mqtt_listen is None
    text = BROKER.format(url=answers.mqtt or USUAL_BROKER)
    return text if wanted else _commented(text)


def _listener(answers: Answers) -> str:
    listen = answers.mqtt_listen
    if listen is None:
        return _commented(LISTENER.format(listen="[::]:8883", who=USERS))
    alone = listen.rpartition(":")[0].strip("[]") in LOOPBACK
    return LISTENER.format(listen=listen, who=ANYBODY if alone else USERS)


def _commented(text: str) -> str:
    return "".join(f"# {line}" for line in text.splitlines(keepends=True))
