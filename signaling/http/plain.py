"""Pages that the server writes itself: plain HTML, one style sheet of ours, nothing that can run.

Pure. They work where the web client does not, at the width of a phone, in light and dark. The sheet
is inside the page, and the policy allows it by its digest and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from html import escape

# The colours are those of `web/src/styles/tokens.css`.
STYLE = """
:root{color-scheme:light dark;--ink:light-dark(#1a1f1d,#edf0ee);--soft:light-dark(#535c59,#a9b3af);
--line:light-dark(#dddad2,#333937);--edge:light-dark(#7b8481,#7a8682);
--accent:light-dark(#0d6b60,#67cfbd);--on:light-dark(#fff,#04211c);
--surface:light-dark(#fff,#1b1e1d);--sunken:light-dark(#edebe5,#252928)}
*{box-sizing:border-box}
body{margin:0;background:light-dark(#f6f5f1,#121413);color:var(--ink);overflow-wrap:anywhere;
font:400 100%/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',
'Liberation Sans',sans-serif}
main{max-width:31rem;margin:0 auto;padding:clamp(16px,8vh,88px) 16px 40px}
main.wide{max-width:64rem;padding-top:32px}
h1{margin:0 0 16px;font-size:clamp(1.6rem,1.2rem + 1.6vw,2.1rem);line-height:1.15;
letter-spacing:-.02em}
h2{margin:32px 0 8px;font-size:1.25rem}
p,ul{margin:0 0 16px}
ul{padding-inline-start:1.2em}
a{color:var(--accent)}
code{font-family:ui-monospace,'Liberation Mono',monospace;font-size:.95em}
[role=alert]{padding:12px 16px;border:1px solid light-dark(#d98f87,#8a4a42);border-radius:10px;
background:light-dark(#fcedea,#37201d)}
form{display:flex;flex-direction:column;gap:8px;margin-top:24px}
label{display:flex;flex-direction:column;gap:4px;margin-bottom:8px;font-weight:600}
input,button{font:inherit;min-height:48px;border:1px solid var(--edge);border-radius:10px}
input{width:100%;padding:0 12px;background:var(--surface);color:inherit}
button{padding:8px 16px;background:var(--surface);color:inherit;font-weight:600;cursor:pointer}
button.main{border-color:transparent;background:var(--accent);color:var(--on)}
:focus-visible{outline:3px solid light-dark(#0b57d0,#9cc2ff);outline-offset:2px}
table{width:100%;border-collapse:collapse;font-size:.9375rem}
th,td{padding:8px 12px 8px 0;border-bottom:1px solid var(--line);text-align:start;
vertical-align:top;overflow-wrap:break-word}
th{color:var(--soft)}
@media (max-width:720px){thead{display:none}table,tbody,tr,td{display:block}
tr{padding:12px 0;border-bottom:1px solid var(--line)}td{padding:0;border:0}
td:first-child{font-weight:600}td+td{color:var(--soft)}}
"""
_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()


def policy(form_targets: Iterable[str] = ("'none'",)) -> str:
    """The Content-Security-Policy of such a page."""
    return (
        f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; "
        f"frame-ancestors 'none'; form-action {' '.join(form_targets)}"
    )


def page(title: str, body: str, *, wide: bool = False, heading: str = "") -> str:
    """`body` and `heading` are markup; `title` is text, and the heading where there is none."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)} · Sotto</title><style>{STYLE}</style></head><body>"
        f"<main{' class=wide' if wide else ''}><h1>{heading or escape(title)}</h1>{body}"
        "</main></body></html>\n"
    )
