# What the scripts of this folder share: sourced with jem=PATH/TO/jem set; leaves the
# script in a scratch folder, under a locale with a decimal comma.
here=$(mktemp -d "${TMPDIR:-/tmp}/jem-cli-XXXXXX") || exit 1
trap 'rm -rf "$here"' EXIT
cd "$here" || exit 1
case $jem in /*) ;; *) jem=$OLDPWD/$jem ;; esac
failed=0

bad()
{
    echo "FAIL: $*"
    failed=1
}

# works WORD COMMAND...: exit 0, and WORD in what it prints
works()
{
    word=$1
    shift
    "$@" >out 2>err || bad "$* gave $?: $(cat err)"
    [ -z "$word" ] || grep -qe "$word" out || bad "$*: no '$word' in: $(head -c 300 out)"
}

# fails CODE WORD COMMAND...: that exit code, and one line "jem: ...WORD..."
fails()
{
    code=$1
    word=$2
    shift 2
    "$@" >out 2>err
    got=$?
    [ $got = "$code" ] || bad "$* gave $got, expected $code: $(cat err)"
    grep '^jem: ' err | grep -qe "$word" || bad "$*: no '$word' in: $(cat err)"
    [ "$(grep -c '^jem: ' err)" = 1 ] || bad "$*: more than one line: $(cat err)"
}

same()
{
    cmp "$1" "$2" || bad "$1 and $2 differ"
}

# labels FILE NUMBER...: an .npy file of int64
labels()
{
    file=$1
    shift
    printf '\223NUMPY\001\000\166\000%-117s\n' \
        "{'descr': '<i8', 'fortran_order': False, 'shape': ($#,), }" >"$file"
    for value; do printf "\\$(printf %03o "$value")\\000\\000\\000\\000\\000\\000\\000" >>"$file"; done
}

# Numbers with commas would break files and options of a command that follows the locale.
if localedef -i de_DE -f UTF-8 "$here/de_DE.UTF-8" >/dev/null 2>&1; then
    export LOCPATH="$here"
    export LC_ALL=de_DE.UTF-8
elif locale -a 2>/dev/null | grep -qi 'de_DE.utf-*8'; then
    export LC_ALL=de_DE.UTF-8
else
    bad "no locale with a decimal comma (package locales)"
fi

# The last line of a script.
end()
{
    [ $failed = 0 ] && echo "all good"
    exit $failed
}
