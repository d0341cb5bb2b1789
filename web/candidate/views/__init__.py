"""The pages of the candidate, by subject. Thin: what they do is decided in the modules of `web`."""

from web.candidate.views import arrival as arrival
from web.candidate.views import checks as checks
from web.candidate.views import git as git
from web.candidate.views import handing_in as handing_in
from web.candidate.views import language as language
from web.candidate.views import preview as preview
from web.candidate.views import work as work
