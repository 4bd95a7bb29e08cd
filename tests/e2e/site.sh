#!/usr/bin/env bash
# The documents become a web site, offline, and every link, picture and heading of it is there; a page that the navigation lacks and a dead
# link are errors. KO_SITE_PYTHON names a Python with mkdocs and its theme Material.
source "$(dirname "$0")/small_spec.inc"
site_python=
for candidate in "${KO_SITE_PYTHON:-}" "$python" /usr/bin/python3; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import mkdocs, material' 2>/dev/null; then
        site_python=$candidate
        break
    fi
done
[ -n "$site_python" ] || { echo "skipped: no Python has mkdocs and mkdocs-material"; exit 77; }
export NO_MKDOCS_2_WARNING=1
make() { "$site_python" -B "$KO_SOURCE_DIR/cmake/site.py" "$1" "$2" >"$scratch/out" 2>&1; }

make "$KO_SOURCE_DIR" "$scratch/all" || { cat "$scratch/out"; fail "the site"; }
for page in index.html docs/spec.html docs/figures/index.html jobs/paper/index.html CHANGELOG.html docs/smollm2.png jobs/smollm2.yaml; do
    [ -s "$scratch/all/site/$page" ] || fail "$page is not in the site"
done
! grep -Eoh '(src|href)="https?://[^"]*\.(js|css|woff2?)"' -r "$scratch/all/site" --include='*.html' || fail "a page loads something from elsewhere"

mkdir -p "$scratch/some"
(cd "$KO_SOURCE_DIR" && tar -cf - README.md CITATION.cff LICENSE [A-Z]*.md docs jobs analysis slurm) | tar -xf - -C "$scratch/some"
echo '[nowhere](nothing.md) [no heading](spec.md#nothing)' >>"$scratch/some/docs/limits.md"
! make "$scratch/some" "$scratch/dead" || fail "a dead link is no error"
grep -q "nothing.md" "$scratch/out" || { cat "$scratch/out"; fail "a dead link is not named"; }
echo '# One more' >"$scratch/some/docs/one-more.md"
! make "$scratch/some" "$scratch/lacking" || fail "a page that the navigation lacks is no error"
grep -q "NAVIGATION lacks docs/one-more.md" "$scratch/out" || { cat "$scratch/out"; fail "the page is not named"; }
