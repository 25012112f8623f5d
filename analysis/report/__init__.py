"""One HTML file about a sweep that opens offline: tables, curves, statistics and pictures."""

from analysis.report.page import report_html, write_report

__all__ = ["report_html", "write_report"]
