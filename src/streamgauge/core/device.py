"""User agents to device classes: ua-parser knows the products, a few rules here know what they are."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal

Device = Literal["desktop", "mobile", "tablet", "bot", "tv", "other"]

_AGENT_CHARS_MAX: Final = 1_024

# ua-parser's "Spider" knows the big crawlers; feed readers, monitors and scripts call themselves all
# sorts of names, but many say where to complain. Cubot makes telephones.
_BOT: Final = re.compile(
    r"(?<!cu)bot\b|crawl|spider|slurp|scan(?:ner)?\b|fetch|monitor|preview|headless|phantomjs|selenium|feed|\brss"
    r"|reader/|archive|validat|curl/|wget/|python|\bperl|\bruby|java/|go-http|httpclient|axios|libwww|\blwp|guzzle"
    r"|\bhttps?://|\w@[\w-]+\.\w",
    re.IGNORECASE,
)
_TV: Final = re.compile(
    r"smart-?tv|apple ?tv|google ?tv|android tv|hbbtv|netcast|web0s|webos.*tv|\broku|\baft[a-z]{1,2}\b|bravia|crkey"
    r"|viera|tizen.*\btv\b|\btv safari|playstation|xbox|nintendo",
    re.IGNORECASE,
)
_TABLET: Final = re.compile(
    r"ipad|tablet(?! pc)|kindle|silk/|playbook|nexus (?:7|9|10)\b|\bsm-[tp]\d{3}", re.IGNORECASE
)
_MOBILE_SYSTEMS: Final = frozenset(
    {
        "iOS",
        "Windows Phone",
        "Windows Mobile",
        "BlackBerry OS",
        "BlackBerry Tablet OS",
        "Symbian OS",
        "Nokia Series 40",
        "Nokia Series 30 Plus",
        "Firefox OS",
        "KaiOS",
        "Bada",
        "Maemo",
        "MeeGo",
        "HarmonyOS",
        "Tizen",
        "webOS",
        "watchOS",
    }
)
_TV_SYSTEMS: Final = frozenset({"tvOS", "ATV OS X", "Chromecast", "Roku", "GoogleTV", "Android TV", "WebTV"})
_DESKTOP: Final = re.compile(
    r"windows|mac os|linux|ubuntu|debian|fedora|red ?hat|centos|suse|gentoo|mint|arch|slackware|mandriva|chrome ?os"
    r"|bsd|solaris|sunos|haiku|beos|os/2",
    re.IGNORECASE,
)


def device_of(user_agent: str) -> Device:
    """The class of a user agent. `bot` is anything that no person sits in front of, `other` what can't be told."""
    return _device_of(user_agent[:_AGENT_CHARS_MAX])  # cut before it is remembered: texts of strangers fill the cache


@lru_cache(maxsize=8_192)
def _device_of(agent: str) -> Device:
    from ua_parser import parse  # noqa: PLC0415 (33 MiB, which a server that meets no browser never needs)

    found = parse(agent)
    product = found.device.family if found.device else ""
    system = found.os.family if found.os else ""
    if product == "Spider" or _BOT.search(agent):
        return "bot"
    if system in _TV_SYSTEMS or _TV.search(agent):
        return "tv"
    if _TABLET.search(agent) or product in ("iPad", "Generic Tablet"):
        return "tablet"
    if system in _MOBILE_SYSTEMS or product in ("Generic Smartphone", "Generic Feature Phone"):
        return "mobile"
    return _android_device(agent) if system == "Android" else "desktop" if _DESKTOP.search(system) else "other"


def _android_device(agent: str) -> Device:
    """Browsers of Android say "Mobile" on phones only; apps say nothing, and most of them are on phones."""
    return "mobile" if "Mobile" in agent or "Mozilla" not in agent else "tablet"
