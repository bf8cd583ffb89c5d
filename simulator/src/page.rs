//! A page that needs nothing else: what reports in HTML begin and end with, in light and dark.

use std::fmt::Write;

/// No font, no script, nothing from elsewhere.
const STYLE: &str = "
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#57606a;--line:#d0d7de;--card:#f6f8fa;
--c0:#0550ae;--c1:#9a3b00;--c2:#116329;--c3:#8a2be2;--c4:#a40e26;--c5:#57606a;--warm:#0001;--bad:#a40e26;--good:#116329}
@media (prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#e6edf3;--dim:#9da7b3;--line:#30363d;--card:#161b22;
--c0:#79c0ff;--c1:#ffa657;--c2:#7ee787;--c3:#d2a8ff;--c4:#ff7b72;--c5:#9da7b3;--warm:#fff1;--bad:#ff7b72;--good:#7ee787}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem;max-width:82rem;background:var(--bg);color:var(--fg);font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.6rem;margin:0 0 .25rem}h2{font-size:1.15rem;margin:2rem 0 .25rem}h2 small{color:var(--dim);font-weight:400}
p{margin:.25rem 0 .75rem;color:var(--dim);max-width:70ch}
.sum{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.75rem;margin:1rem 0;padding:0;list-style:none}
.sum li{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.6rem .8rem;color:var(--dim);font-size:.9rem}
.sum b{display:block;font-size:1.35rem;color:var(--fg);font-variant-numeric:tabular-nums}
.sum b.bad{color:var(--bad)}.sum b.good{color:var(--good)}
.pair{display:grid;grid-template-columns:minmax(0,2fr) minmax(16rem,1fr);gap:1.25rem;align-items:start}
@media (max-width:56rem){.pair{grid-template-columns:minmax(0,1fr)}}
figure{margin:0}figure>svg{width:100%;height:auto;background:var(--card);border:1px solid var(--line);border-radius:.5rem}
svg text{fill:var(--dim);font:11px system-ui,sans-serif}.grid{stroke:var(--line)}.warm{fill:var(--warm)}
.bound{stroke:var(--bad);stroke-dasharray:2 4}.l{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.l0{stroke:var(--c0)}.l1{stroke:var(--c1);stroke-dasharray:7 4}.l2{stroke:var(--c2);stroke-dasharray:2 4}
.l3{stroke:var(--c3);stroke-dasharray:10 3 2 3}.l4{stroke:var(--c4);stroke-dasharray:4 2}.l5{stroke:var(--c5);stroke-dasharray:1 3}
.plv{fill:var(--c0)}svg .plv+text{fill:var(--fg)}
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;padding:0;margin:.4rem 0 0;list-style:none;font-size:.9rem}
.legend svg{width:28px;height:8px;margin-right:.4rem}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--dim);padding:.2rem 0}th,td{padding:.25rem .5rem;border-bottom:1px solid var(--line);text-align:right}
th:first-child,td.w{text-align:left}th{font-weight:600}tbody th{font-weight:400}
.scroll{max-height:20rem;overflow:auto}details{margin-top:.5rem}summary{cursor:pointer;color:var(--c0)}
summary:focus-visible,.scroll:focus-visible{outline:2px solid var(--c0);outline-offset:2px}
";

/// What is behind the last section.
pub(crate) const END: &str = "</main></body></html>\n";

/// Up to where the sections begin.
pub(crate) fn begin(title: &str) -> String {
    let mut out = String::new();
    // Writing into a string does not fail.
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\
         <title>{}</title><style>{STYLE}</style></head><body><main>",
        escape(title)
    );
    out
}

/// Text that is safe between tags and in attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // What XML cannot say at all.
            control if (control as u32) < 0x20 && control != '\n' && control != '\t' => {}
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_said_cannot_become_a_tag() {
        assert_eq!(escape("<a href='x'>&\"\u{0}"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
    }
}
