# SPDX-License-Identifier: Apache-2.0
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "hybrid_sched"
copyright = "hybrid_sched contributors"  # noqa: A001 - Sphinx names it
extensions = [
    "cliff.sphinxext",
    "openstackdocstheme",
    "oslo_config.sphinxext",
    "oslo_config.sphinxconfiggen",
    "oslo_policy.sphinxext",
    "oslo_policy.sphinxpolicygen",
    "openapi_page",
    "reno.sphinxext",
    "sphinx.ext.autodoc",
]
root_doc = "index"
html_theme = "openstackdocs"
openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_bug_project = ""
version = release = ""
autodoc_typehints = "description"
config_generator_config_file = [
    ("../../etc/hybrid-sched/hybrid-sched-generator.conf", "_static/hybrid-sched"),
    ("../../etc/hybrid-sched/client-generator.conf", "_static/client"),
]
# What every command of that kind has is said once.
autoprogram_cliff_app_dist_name = "hybrid-sched"
autoprogram_cliff_ignored = [
    *("--help", "--format", "--column", "--quote", "--noindent", "--max-width", "--fit-width"),
    *("--print-empty", "--sort-column", "--sort-ascending", "--sort-descending"),
    *("--prefix", "--variable"),
]
policy_generator_config_file = [
    ("../../etc/hybrid-sched/policy-generator.conf", "_static/hybrid-sched"),
]
