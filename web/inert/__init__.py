"""Files of strangers as HTML in which nothing runs and which loads nothing: pure functions, bytes in and markup out.

    markdown(text)              a brief, a memo          diff(before, after, name)    the history
    show(name, content)         a file, by its kind      notebook, source             what it chooses among
    name(name)                  a file's name            legible(name)                the same as a text
                                                         disposition(name)            the same for a download

Three walls, each of which holds without the others: what is made here is an allow-list, so the HTML itself is clean;
the preview is a document of its own whose policy lets nothing run or load (`web.preview`); and whatever is downloaded
comes as an attachment of no kind. Lengths, counts, depths and pixels are limited before anything is parsed.
"""

from web.inert.changes import diff
from web.inert.downloads import disposition
from web.inert.listing import source
from web.inert.notebooks import notebook
from web.inert.prose import markdown
from web.inert.showing import show
from web.inert.signs import legible, name

__all__ = ["diff", "disposition", "legible", "markdown", "name", "notebook", "show", "source"]
