from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.core.device import device_of

KHTML = "AppleWebKit/537.36 (KHTML, like Gecko)"
APPLE = "AppleWebKit/605.1.15 (KHTML, like Gecko)"


def android(model: str, kind: str) -> str:
    return f"Mozilla/5.0 (Linux; Android 14; {model}) {KHTML} Chrome/126.0.0.0 {kind}Safari/537.36"


USER_AGENTS = {
    "desktop": [
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {KHTML} Chrome/126.0.0.0 Safari/537.36",
        f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {APPLE} Version/17.5 Safari/605.1.15",
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:27.0) Gecko/20100101 Firefox/27.0",
        f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {KHTML} Chrome/126.0.0.0 Safari/537.36",
        "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0; .NET CLR 3.5.30729; Tablet PC 2.0)",
        "Opera/9.80 (Windows NT 6.1; WOW64; U; ru) Presto/2.10.289 Version/12.01",
    ],
    "mobile": [
        f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) {APPLE} Version/17.5 Mobile/15E148 Safari/604.1",
        android("Pixel 8", "Mobile "),
        android("CUBOT X30", "Mobile "),
        "Mozilla/5.0 (Android 14; Mobile; rv:128.0) Gecko/128.0 Firefox/128.0",
        f"Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1; Microsoft; Lumia 950) {KHTML} "
        "Chrome/52.0.2743.116 Mobile Safari/537.36 Edge/15.15063",
        "Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8 Build/AP2A)",
        "MobileSafari/9537.53 CFNetwork/672.0.8 Darwin/14.0.0",
    ],
    "tablet": [
        f"Mozilla/5.0 (iPad; CPU OS 17_0 like Mac OS X) {APPLE} Version/17.0 Mobile/15E148 Safari/604.1",
        android("SM-X710", ""),
        "Mozilla/5.0 (Android; Tablet; rv:27.0) Gecko/27.0 Firefox/27.0",
        f"Mozilla/5.0 (Linux; U; en-us; KFAPWI Build/JDQ39) {KHTML} Silk/3.13 Safari/535.19",
    ],
    "bot": [
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 6_0 like Mac OS X) AppleWebKit/536.26 (KHTML, like Gecko) Version/6.0 "
        "Mobile/10A5376e Safari/8536.25 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Twitterbot/1.0",
        "UniversalFeedParser/4.2-pre-314-svn +http://feedparser.org/",
        "curl/8.5.0",
        "Wget/1.21.4",
        "python-requests/2.32.3",
        "Go-http-client/1.1",
        "Chef Client/10.18.2 (ruby-1.9.3-p327; ohai-6.16.0; x86_64-linux; +http://opscode.com)",
        "Mozilla/5.0 (compatible; Ezooms/1.0; help@moz.com)",
        f"Mozilla/5.0 (X11; Linux x86_64) {KHTML} HeadlessChrome/126.0.0.0 Safari/537.36",
    ],
    "tv": [
        f"Mozilla/5.0 (SMART-TV; LINUX; Tizen 6.0) {KHTML} 76.0.3809.146/6.0 TV Safari/537.36",
        f"Mozilla/5.0 (Web0S; Linux/SmartTV) {KHTML} Chrome/79.0.3945.79 Safari/537.36",
        f"Mozilla/5.0 (Linux; Android 9; AFTS Build/PS7233) {KHTML} Chrome/70.0 Safari/537.36",
        "Roku4640X/DVP-7.70 (297.70E04154A)",
        "AppleTV11,1/11.1",
    ],
    "other": ["", "-", "Mozilla/5.0", "something else entirely"],
}


@pytest.mark.parametrize(
    ("device", "agent"), [(device, agent) for device, agents in USER_AGENTS.items() for agent in agents]
)
def test_a_user_agent_has_the_class_of_its_device(device: str, agent: str) -> None:
    assert device_of(agent) == device


@given(st.text(max_size=200))
def test_every_text_has_a_class(agent: str) -> None:
    assert device_of(agent) in USER_AGENTS
