// Starts the workspace, or says why there is none. A part that did not come leaves a page that looks whole and does
// nothing, so it is asked for once more, while nobody has seen anything yet. What still does not come is said.

const SEEN = 3_000; // milliseconds: the page without an editor shows itself a second later
const ONCE = "assay started anew";

const { program } = document.getElementById("workspace").dataset;

import(program)
  .then(({ begun }) => begun)
  .then(() => sessionStorage.removeItem(ONCE))
  .catch((error) => {
    console.error(error);
    if (performance.now() < SEEN && !sessionStorage.getItem(ONCE)) {
      sessionStorage.setItem(ONCE, "1");
      return location.reload();
    }
    sessionStorage.removeItem(ONCE);
    document.getElementById("workspace").hidden = true;
    for (const id of ["plain", "unstarted"]) document.getElementById(id).hidden = false;
  });
