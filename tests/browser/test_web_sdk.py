"""The web SDK in a real browser, on pages of another origin than the server's. `GET /metrics` says what came of it."""

from __future__ import annotations

import gzip
import signal
import uuid
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from running import RunningSystem, eventually

from .site_server import EXAMPLE_FILE, TAG_FILE, Site

_CONFIG = """
[[rollups]]
name = "events"
dimensions = ["event"]
[[rollups]]
name = "page_views"
event = "page_view"
dimensions = ["page", "referrer", "campaign_source"]
[[rollups]]
name = "sdk_dropped"
event = "sdk_dropped"
measure = {sum = "count"}
dimensions = ["reason"]
"""
_GZIPPED_BYTES_MAX = 4_096


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    with RunningSystem(tmp_path_factory.mktemp("web-sdk") / "data", config=_CONFIG) as started:
        yield started


@pytest.fixture
def name() -> str:
    """Of the events, or the first page, of one test: the system is that of all of them."""
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture
def site(system: RunningSystem) -> Iterator[Site]:
    with Site() as started:
        show(started, system)
        yield started


def show(site: Site, system: RunningSystem, **attributes: str) -> None:
    """A page with the script tag, that sends soon and counts no views by itself, unless it is said otherwise."""
    usual = {"src": "/sdk.js", "data_host": system.url(), "data_flush_ms": "100", "data_page_views": "manual"}
    site.show_tag(**{**usual, **attributes})


def opened(page: Page, url: str) -> Page:
    page.goto(url)
    wait_for_the_script(page)
    return page


def wait_for_the_script(page: Page) -> None:
    page.wait_for_function("typeof window.streamgauge?.track === 'function'")


def track(page: Page, name: str, count: int) -> None:
    page.evaluate("([name, count]) => { while (count--) streamgauge.track(name, {count}) }", [name, count])


def flush(page: Page) -> None:
    page.evaluate("() => streamgauge.flush()")


def waiting(page: Page) -> int:
    """Events in the queue."""
    keys: list[str] = page.evaluate("Object.keys(localStorage)")
    return sum("event." in key for key in keys)


def wait_until_all_is_answered(page: Page) -> None:
    eventually(lambda: waiting(page) == 0, "everything that waited is answered")


def accepted(system: RunningSystem) -> float:
    return system.self_metric("streamgauge_ingest_events_total", outcome="accepted")


def duplicates(system: RunningSystem) -> float:
    return system.self_metric("streamgauge_stream_dropped_total", reason="duplicate")


def test_the_script_is_under_4_kb_gzipped() -> None:
    assert len(gzip.compress(TAG_FILE.read_bytes())) < _GZIPPED_BYTES_MAX


def test_one_line_in_a_page_of_another_origin_counts_its_views(
    system: RunningSystem, site: Site, page: Page, name: str
) -> None:
    site.show_tag(src=system.url("/sdk.js"), data_key="shop", data_flush_ms="100")
    page.goto(site.url(f"/{name}?utm_source=news&token=secret"), referer="https://elsewhere.example/search?q=secret")
    wait_for_the_script(page)
    assert "secret" not in page.evaluate("JSON.stringify(localStorage)")
    wait_until_all_is_answered(page)
    found = {"campaign_source": "news", "referrer": "https://elsewhere.example/search"}
    system.wait_until_counted(1, "page_views", page=f"/{name}", **found)
    assert page.context.cookies() == []


def test_calls_before_the_script_is_there_are_made_then(
    system: RunningSystem, site: Site, page: Page, name: str
) -> None:
    early = f'["identify", "ada", {{plan: "pro"}}], ["track", "{name}", {{}}]'
    site.html = f"<script>(window.streamgauge ||= []).push({early})</script>{site.html}"
    opened(page, site.url())
    page.evaluate("name => streamgauge.push(['track', name])", name)
    system.wait_until_counted(2, event=name)
    system.wait_until_counted(1, event="identify")
    eventually(
        lambda: system.self_metric("streamgauge_profile_traits_total", outcome="kept"), "the profile has the plan"
    )


def test_events_of_offline_times_are_counted_once_when_online(
    system: RunningSystem, site: Site, page: Page, name: str
) -> None:
    opened(page, site.url())
    page.context.set_offline(True)
    with page.expect_event("requestfailed"):
        track(page, name, 120)
    assert waiting(page) == 120
    page.context.set_offline(False)
    wait_until_all_is_answered(page)
    system.wait_until_counted(120, event=name)


def test_a_queue_survives_a_reload_while_the_server_is_down(
    system: RunningSystem, site: Site, page: Page, name: str
) -> None:
    opened(page, site.url())
    system.kill9()
    track(page, name, 7)
    page.reload()
    wait_for_the_script(page)
    track(page, name, 5)
    assert waiting(page) == 12
    system.start()
    flush(page)
    wait_until_all_is_answered(page)
    system.wait_until_counted(12, event=name)


def test_a_tab_that_is_closed_at_once_has_sent_its_events(
    system: RunningSystem, site: Site, page: Page, name: str
) -> None:
    show(site, system, data_flush_ms="60000")
    other = opened(page.context.new_page(), site.url())
    track(other, name, 9)
    other.close()
    system.wait_until_counted(9, event=name)
    # The tab never saw the answer, so that the next page sends them again.
    before = duplicates(system)
    opened(page, site.url())
    flush(page)
    wait_until_all_is_answered(page)
    eventually(lambda: duplicates(system) == before + 9, "the server has recognised them")
    system.wait_until_counted(9, event=name)


def test_a_tab_that_is_closed_mid_flight_loses_and_doubles_nothing(
    system: RunningSystem, site: Site, page: Page, name: str
) -> None:
    other = opened(page.context.new_page(), site.url())
    system.signal(signal.SIGSTOP)
    with other.expect_request("**/events"):
        track(other, name, 150)
    track(other, name, 10)
    other.close()
    system.signal(signal.SIGCONT)
    opened(page, site.url())
    flush(page)
    wait_until_all_is_answered(page)
    system.wait_until_idle()
    system.wait_until_counted(160, event=name)


def test_a_server_that_is_killed_over_and_over_counts_each_event_once(
    system: RunningSystem, site: Site, page: Page, name: str
) -> None:
    opened(page, site.url())
    before = accepted(system)
    page.evaluate(
        """name => {
            let left = 1000;
            const timer = setInterval(() => {
                for (let number = 0; number < 5; number++) streamgauge.track(name, {left});
                if ((left -= 5) === 0) clearInterval(timer);
            }, 5);
        }""",
        name,
    )
    for _ in range(2):
        eventually(lambda least=before: accepted(system) > least, "events come in")
        system.kill9()
        system.start()
        before = 0  # it counts since its start
        page.evaluate("dispatchEvent(new Event('online'))")
    flush(page)
    system.wait_until_counted(1_000, event=name)
    wait_until_all_is_answered(page)
    system.wait_until_idle()
    system.wait_until_counted(1_000, event=name)


@pytest.mark.parametrize("without", ["", "delete window.navigation"])
def test_navigation_within_a_page_is_counted(
    system: RunningSystem, site: Site, page: Page, name: str, without: str
) -> None:
    page.add_init_script(without)
    show(site, system, data_page_views="path")
    opened(page, site.url(f"/{name}"))
    page.evaluate(
        """name => {
            history.pushState({}, "", `/${name}/cart`);
            history.replaceState({}, "", `/${name}/cart?step=2`);
            history.replaceState({}, "", `/${name}/checkout#pay`);
            location.hash = "done";
        }""",
        name,
    )
    page.go_back()
    page.go_back()
    page.wait_for_function("name => location.pathname === `/${name}`", arg=name)
    for path, views in {f"/{name}": 2, f"/{name}/cart": 1, f"/{name}/checkout": 1}.items():
        system.wait_until_counted(views, "page_views", page=path)


def test_routes_in_the_fragment_are_pages_where_wanted(
    system: RunningSystem, site: Site, page: Page, name: str
) -> None:
    show(site, system, data_page_views="hash")
    opened(page, site.url(f"/{name}#/a"))
    page.evaluate("location.hash = '/b'")
    for path in (f"/{name}#/a", f"/{name}#/b"):
        system.wait_until_counted(1, "page_views", page=path)


@pytest.mark.parametrize("signal_of", ["globalPrivacyControl: {get: () => true}", 'doNotTrack: {get: () => "1"}'])
def test_who_does_not_want_to_be_tracked_is_not(
    system: RunningSystem, site: Site, page: Page, name: str, signal_of: str
) -> None:
    page.add_init_script(f"Object.defineProperties(navigator, {{{signal_of}}})")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    opened(page, site.url())
    track(page, name, 3)
    page.evaluate("streamgauge.optIn()")
    flush(page)
    page.evaluate("dispatchEvent(new Event('pagehide'))")
    assert page.evaluate("localStorage.length") == 0
    assert [url for url in sent if url.endswith("/events")] == []
    show(site, system, data_privacy_signals="ignore")
    opened(page, site.url("/again"))
    track(page, name, 1)
    system.wait_until_counted(1, event=name)


def test_before_consent_nothing_is_written_or_sent_and_after_it_all_is(
    system: RunningSystem, site: Site, page: Page, name: str
) -> None:
    show(site, system, data_consent="pending", data_page_views="path")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    opened(page, site.url(f"/{name}"))
    track(page, name, 3)
    flush(page)
    assert page.evaluate("localStorage.length") == 0
    assert [url for url in sent if url.endswith("/events")] == []
    page.evaluate("streamgauge.optIn()")
    system.wait_until_counted(3, event=name)
    system.wait_until_counted(1, "page_views", page=f"/{name}")
    page.evaluate("streamgauge.optOut()")
    track(page, name, 3)
    page.reload()
    wait_for_the_script(page)
    track(page, name, 3)
    flush(page)
    assert page.evaluate("Object.keys(localStorage)") == ["streamgauge..consent"]
    system.wait_until_idle()
    system.wait_until_counted(3, event=name)


def test_with_persistence_in_memory_nothing_is_written(
    system: RunningSystem, site: Site, page: Page, name: str
) -> None:
    show(site, system, data_persistence="memory")
    opened(page, site.url())
    track(page, name, 1)
    system.wait_until_counted(1, event=name)
    assert page.evaluate("localStorage.length") == 0
    assert page.context.cookies() == []


def test_a_queue_over_its_cap_drops_the_oldest_and_says_how_many(
    system: RunningSystem, site: Site, page: Page, name: str
) -> None:
    site.show_module(f'{{host: "{system.url()}", flushMs: 100, queueBytesMax: 50_000, pageViews: "manual"}}')
    opened(page, site.url())
    dropped_before = system.total("sdk_dropped", reason="queue_full")
    system.kill9()
    track(page, name, 2_000)
    stored = page.evaluate(
        "Object.keys(localStorage).filter((key) => key.includes('event.'))"
        ".reduce((sum, key) => sum + localStorage[key].length, 0)"
    )
    assert stored <= 50_000
    system.start()
    flush(page)
    wait_until_all_is_answered(page)
    system.wait_until_idle()
    dropped = system.total("sdk_dropped", reason="queue_full") - dropped_before
    assert dropped > 1_000
    system.wait_until_counted(2_000 - dropped, event=name)


def test_a_storage_that_is_full_already_costs_no_event(
    system: RunningSystem, site: Site, page: Page, name: str
) -> None:
    opened(page, site.url())
    page.evaluate("""() => {
        for (let size = 5_000_000; size >= 1; size = Math.floor(size / 2)) {
            try {
                for (let number = 0; number < 9; number++) localStorage[`${size}.${number}`] = "x".repeat(size);
            } catch {}
        }
    }""")
    track(page, name, 50)
    system.wait_until_counted(50, event=name)


@pytest.mark.parametrize("without", ["", "Object.defineProperty(navigator, 'locks', {get: () => undefined})"])
def test_two_tabs_at_once_count_each_event_once(
    system: RunningSystem, site: Site, page: Page, name: str, without: str
) -> None:
    page.context.add_init_script(without)
    tabs = [opened(page, site.url()), opened(page.context.new_page(), site.url())]
    track(tabs[0], name, 1)
    # What one tab writes another one sees a moment later.
    tabs[1].wait_for_function("'streamgauge..anonymous' in localStorage")
    for _ in range(5):
        for one in tabs:
            track(one, name, 30)
    assert len({one.evaluate("localStorage['streamgauge..anonymous']") for one in tabs}) == 1
    for one in tabs:
        flush(one)
    wait_until_all_is_answered(page)
    system.wait_until_idle()
    system.wait_until_counted(301, event=name)


def test_a_clock_that_is_wrong_costs_the_first_events_and_no_more(
    system: RunningSystem, site: Site, page: Page, name: str
) -> None:
    page.add_init_script("{ const now = Date.now; Date.now = () => now() + 3 * 3_600_000 }")
    opened(page, site.url())
    before = system.self_metric("streamgauge_stream_dropped_total", reason="too_far_ahead")
    track(page, name, 1)
    wait_until_all_is_answered(page)
    track(page, name, 5)
    system.wait_until_counted(5, event=name)
    assert system.self_metric("streamgauge_stream_dropped_total", reason="too_far_ahead") == before + 1


def test_events_that_the_server_rejects_hold_up_no_others(
    system: RunningSystem, site: Site, page: Page, name: str
) -> None:
    opened(page, site.url())
    page.evaluate(
        """name => {
            streamgauge.track(name);
            streamgauge.track("long", {text: "x".repeat(20_000)});
            streamgauge.track("");
            streamgauge.track(name);
        }""",
        name,
    )
    system.wait_until_counted(2, event=name)
    system.wait_until_counted(1, "sdk_dropped", reason="string_too_long")
    system.wait_until_counted(1, "sdk_dropped", reason="invalid_event")
    wait_until_all_is_answered(page)


def test_the_example_counts_what_is_clicked(system: RunningSystem, site: Site, page: Page) -> None:
    site.html = EXAMPLE_FILE.read_text(encoding="utf-8").replace("http://localhost:8080", system.url())
    opened(page, site.url())
    page.get_by_text("Tea").click()
    page.get_by_text("Buy").click()
    page.get_by_text("Sign in").click()
    page.get_by_text("Person: ada").wait_for()
    page.get_by_text("Events that wait: 0").wait_for()
    system.wait_until_counted(1, event="purchase")
    system.wait_until_counted(1, "page_views", page="/tea")


def test_a_page_of_an_origin_that_is_not_allowed_keeps_its_events(
    system: RunningSystem, site: Site, page: Page, name: str
) -> None:
    refused_before = system.self_metric("streamgauge_http_errors_total", code="origin_not_allowed")
    site.html = (
        f"<iframe sandbox=\"allow-scripts\" srcdoc='{site.html.replace('/sdk.js', site.url('/sdk.js'))}'></iframe>"
    )
    page.goto(site.url())
    frame = page.frames[1]  # whose origin is null
    frame.wait_for_function("typeof window.streamgauge?.track === 'function'")
    with page.expect_event("requestfailed"):
        frame.evaluate("name => streamgauge.track(name)", name)
    assert system.self_metric("streamgauge_http_errors_total", code="origin_not_allowed") > refused_before
    system.wait_until_counted(0, event=name)
