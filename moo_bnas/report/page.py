"""The pages of a report: `report.html` with all of it, `pareto.html` with the front alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from moo_bnas.overrides import keys_of
from moo_bnas.report.confirmation import confirmation
from moo_bnas.report.figures import figures
from moo_bnas.report.headline import headline
from moo_bnas.report.style import DARK, Figure
from moo_bnas.report.tables import MISSING, cells, header, how_to_fill, note, rows
from moo_bnas.report.trade_off import (
    front_figure,
    front_note,
    front_title,
    network_key,
    table_figure_name,
)
from moo_bnas.results.points import Report
from moo_bnas.results.provenance import Trainings
from moo_bnas.units import count, duration

_HERE = Path(__file__).parent
# Browsers enforce this policy: the page may load nothing from elsewhere.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)


def pareto_page(report: Report) -> str:
    """The page of the front; it opens offline, as Plotly's script is included."""
    figure = front_figure(report)
    body = f"""<header>
<h1>{escape(front_title(report))}</h1>
<p class="about">{escape(front_note(report))}</p>
</header>
<main class="alone">{figure_html(figure)}</main>
"""
    return document(f"{report.study}: Pareto front", body, [figure])


def page(report: Report) -> str:
    """The page of the whole report; it opens offline and follows the reader's colour scheme."""
    first, *others = headline(report)
    drawn = {figure.name: figure for figure in figures(report)}
    pair = [f for name, f in drawn.items() if name.startswith("convergence")]
    filling = how_to_fill(report)
    body = f"""<header>
<h1>{escape(report.study)}</h1>
<p class="headline">{escape(first)}</p>
{"".join(f"<p>{escape(sentence)}</p>" for sentence in others)}
<p class="about">{escape(_about(report))}</p>
</header>
<main>
{_section(drawn["front"])}
<section aria-labelledby="table-title">
<h2 id="table-title">{"Networks" if report.has_widths else "Candidates"}</h2>
{_networks(report)}
<p class="note">{escape(note(report))}</p>
{f'<p class="note">{escape(filling)}</p>' if filling else ""}
{"".join(f'<p class="note">{escape(line)}</p>' for line in confirmation(report))}
</section>
{_section(drawn[table_figure_name(report)]) if report.has_widths else ""}
<section aria-labelledby="convergence-title">
<h2 id="convergence-title">Convergence</h2>
<div class="pair">{"".join(figure_html(f) for f in pair)}</div>
</section>
{_section(drawn["channels"]) if report.has_widths else ""}
{_section(drawn["importance"])}
<section aria-labelledby="making-title">
<h2 id="making-title">How it was made</h2>
{_making(report)}
</section>
</main>
"""
    return document(f"{report.study}: report", body, list(drawn.values()))


def document(title: str, body: str, drawn: Sequence[Figure]) -> str:
    """A page of HTML.

    Args:
        title: Its title.
        body: HTML with a place (`figure_html`) for each figure.
        drawn: The figures.
    """
    from plotly.offline import get_plotlyjs

    data = "".join(_data(f) for f in drawn)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{escape(title)}</title>
<style>{_read("page.css")}</style>
</head>
<body>
{body}
<noscript>The figures are drawn by the script in this page; allow it to see them.</noscript>
<script>{get_plotlyjs()}</script>
{data}<script type="application/json" id="dark">{json.dumps(DARK)}</script>
<script>{_read("page.js")}</script>
</body>
</html>
"""


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _about(report: Report) -> str:
    search = report.definition.search
    total = count(search.candidates, "candidate")
    failed = f", {report.failed} failed" if report.failed else ""
    finally_ = (
        f", {count(len(report.finals), 'network')} finally trained" if report.is_trained else ""
    )
    state = "finished" if report.making.finished else "not finished"
    return (
        f"{report.definition.title}, {report.mode} search, "
        f"{state}: {len(report.search)} of up to {total} evaluated{failed}{finally_}."
    )


def _section(figure: Figure) -> str:
    title = f"{figure.name}-title"
    return (
        f'<section aria-labelledby="{title}"><h2 id="{title}">{escape(figure.title)}</h2>'
        f"{figure_html(figure)}</section>"
    )


def figure_html(figure: Figure) -> str:
    """The place of a figure in a page, with its caption."""
    caption = escape(figure.caption)
    described = f"{figure.title}: {figure.caption} {figure.values}".strip()
    if figure.drawn is None:
        return f'<p class="empty">{caption}</p>'
    return (
        f'<figure><div class="plot" role="img" aria-label="{escape(described)}" '
        f'data-figure="data-{figure.name}"></div><figcaption>{caption}</figcaption></figure>'
    )


def _data(figure: Figure) -> str:
    if figure.drawn is None:
        return ""
    # Escaped, so that no text in the data can end the script element.
    text = figure.drawn.to_json().replace("<", "\\u003c")
    return f'<script type="application/json" id="data-{figure.name}">{text}</script>\n'


def _networks(report: Report) -> str:
    listed = rows(report)
    lines = []
    for row in listed:
        searched = row.precision == "binary" and not row.is_uniform
        kind = f'class="{"searched" if searched else ""}" tabindex="0"'
        lines.append((cells(report, row), f'{kind} data-network="{network_key(row)}"'))
    return html_table("networks", header(report), lines)


def html_table(label: str, header: Sequence[str], body: Sequence[tuple[Sequence[str], str]]) -> str:
    """A table with its own scroll bar; each row of the body comes with its attributes."""
    # No title is broken within a word such as `top-1`.
    titles = [escape(name).replace("-", "\N{NON-BREAKING HYPHEN}") for name in header]
    head = "".join(f'<th scope="col">{title}</th>' for title in titles)
    lines = []
    for (first, *others), attributes in body:
        values = "".join(f"<td>{escape(value)}</td>" for value in others)
        lines.append(f'<tr {attributes}><th scope="row">{escape(first)}</th>{values}</tr>')
    return (
        '<div><p class="wider">Scroll sideways to see all columns.</p>'
        f'<div class="scroll" role="region" aria-label="{label}" tabindex="0">'
        f'<table class="{label}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div></div>"
    )


def _making(report: Report) -> str:
    made, trainings = report.making, report.making.trainings
    facts = {
        "definition": f"{report.definition.name}: {report.definition.description}",
        "search": f"{report.mode}, seed {made.seed}",
        "began": _moment(made.began),
        "last result": _moment(made.ended),
        "versions": ", ".join(f"{name} {version}" for name, version in made.versions.items()),
    }
    if made.other_versions:
        others = made.other_versions.items()
        facts["workers also had"] = ", ".join(f"{p} {' and '.join(found)}" for p, found in others)
    described = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())
    header = (
        "Training runs",
        "Trained",
        "Copied",
        "Failed",
        "Not finished",
        "Training time",
        "Devices",
    )
    body = [
        (
            (
                t.what,
                str(t.trained),
                str(sum(t.copied.values())),
                str(sum(t.failures.values())),
                str(t.waiting),
                duration(t.seconds),
                ", ".join(f"{device} ({n})" for device, n in t.devices.items()) or MISSING,
            ),
            "",
        )
        for t in trainings
    ]
    failures = "".join(_failures(t) for t in trainings)
    recipes = {"Definition": as_toml(keys_of(report.definition))}
    if made.final_recipe:
        recipes["Final training"] = as_toml({"final": made.final_recipe})
    details = "".join(
        f"<details><summary>{title}</summary><pre><code>{escape(text)}</code></pre></details>"
        for title, text in recipes.items()
    )
    return (
        f"<dl>{described}</dl><h3>Training runs</h3>{html_table('trainings', header, body)}"
        f'<p class="note">{escape(_copies(trainings))}</p>{failures}{details}'
    )


def _moment(moment: datetime | None) -> str:
    return MISSING if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"


def _copies(trainings: Sequence[Trainings]) -> str:
    """A note on the columns of the table of training runs."""
    text = "Training time: the sum over all training runs of this run."
    own = {t.what for t in trainings}
    copies = [
        f"{n} of the {t.what} from {f'the {source} of this run' if source in own else source}"
        for t in trainings
        for source, n in t.copied.items()
    ]
    if copies:
        text += (
            " Evaluations that had been made before were copied, and add no time here: "
            f"{', '.join(copies)}."
        )
    return text


def _failures(trainings: Trainings) -> str:
    items = "".join(f"<li>{n}x {escape(reason)}</li>" for reason, n in trainings.failures.items())
    return f"<h3>Failures: {escape(trainings.what)}</h3><ul>{items}</ul>" if items else ""


def as_toml(values: Mapping[str, Any], within: str = "") -> str:
    """Sections of plain values as TOML; values that are None are left out, as in a definition.

    Args:
        values: Values and sections by name.
        within: Name of the section that they stand in, and a dot.
    """
    given = {k: v for k, v in values.items() if v is not None}
    plain = {k: v for k, v in given.items() if not isinstance(v, Mapping)}
    # Strings, numbers, booleans and lists are written as in JSON, which TOML can read.
    lines = [f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in plain.items()]
    for section, options in given.items():
        if section not in plain and options:
            name = f"{within}{section}"
            lines += ["", f"[{name}]", as_toml(options, f"{name}.")]
    return "\n".join(lines)
