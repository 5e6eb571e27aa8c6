"""The Chinese edition: the same site in docs/zh, built into its folder zh."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from conf import *  # noqa: F403

language = "zh_CN"  # the search cuts words by jieba
locale_dirs = ["locale"]  # what the theme says
html_title = "scratchnn 中文"
english_site = "../"
html_favicon = "../_static/icon.svg"
html_static_path = ["../_static"]
templates_path = ["../_templates"]
exclude_patterns: list[str] = []
extensions.remove("sphinx_gallery.gen_gallery")  # noqa: F405 - the English edition has them
