"""Read the site's egress file, and refuse what would let out more than a profile does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

import structlog

from edge_agent.egress import Declared, FieldRule, SiteEgress, has_glob
from edge_agent.grant import Grant, is_looser, tightest
from gateway_core.config import load_config, read_yaml
from gateway_core.errors import ConfigError, Fault

log = structlog.get_logger()


def load_site_egress(path: Path, declared: Mapping[str, Declared]) -> SiteEgress:
    """Read ``egress.yaml`` and check it against the loaded profiles.

    Args:
        path: The file.
        declared: What each loaded profile lets out, by profile id.

    Raises:
        ConfigError: The file cannot be read, an entry names a profile or field that is not
            loaded, or an entry would let out more than the profile does.
    """
    site = load_config(SiteEgress, path, env={})
    faults: list[Fault] = []
    document = read_yaml(path)
    for index, rule in enumerate(site.fields):
        found = _judge(rule, declared)
        if found is not None:
            key, message = found
            faults.append(document.fault(("fields", index, key), message))
    if faults:
        raise ConfigError(*faults)
    return site


def _judge(rule: FieldRule, declared: Mapping[str, Declared]) -> tuple[str, str] | None:
    """Return the key at fault and what is wrong with it, or None."""
    if not has_glob(rule.profile) and rule.profile not in declared:
        return "profile", _unknown("profile", rule.profile, declared)
    of_profile = [one for one in declared.values() if rule.covers_profile(one)]
    matched = [(one, name) for one in of_profile for name in one.grants if rule.covers(one, name)]
    if not matched:
        if of_profile and not has_glob(rule.field):
            names = {name for one in of_profile for name in one.grants}
            return "field", _unknown("field", rule.field, names)
        log.warning("egress_rule_unused", profile=rule.profile, field=rule.field)
        return None
    named = not has_glob(rule.profile) and not has_glob(rule.field)
    looser: tuple[Declared, str, Grant] | None = None
    tightens = False
    for one, name in matched:
        limit = one.grants[name]
        wish = rule.grant(limit)
        tightens = tightens or tightest(limit, wish) != limit
        if looser is None and is_looser(wish, limit):
            looser = (one, name, limit)
    if looser is None or (tightens and not named):
        return None
    one, name, limit = looser
    return "egress", (
        f"this file can only tighten: {one.profile} lets {name} leave as {limit}; "
        f"say less than that, or change the profile's egress"
    )


def _unknown(kind: str, name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1)
    hint = f"did you mean {near[0]}?" if near else "see tidegate profiles list"
    return f"no loaded profile has the {kind} {name}; {hint}"
