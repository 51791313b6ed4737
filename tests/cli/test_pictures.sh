#!/bin/sh
# Pictures of the jem command by file suffix: test_pictures.sh PATH/TO/jem MODEL
jem=$1
model=$2
. "$(dirname "$0")/common.sh"

# magic FILE TEXT: the file begins with the text
magic()
{
    head -c 64 "$1" | grep -aqe "$2" || bad "$1 does not begin with '$2'"
}

small=glyphs:limit=40
for suffix in png pdf svg; do
    works '"ece"' "$jem" eval calibration --model "$model" --data $small --picture r.$suffix
    works '"auroc"' "$jem" eval ood --model "$model" --data $small --ood uniform --picture h.$suffix
done
for name in r h; do
    magic $name.png 'PNG'
    magic $name.pdf '^%PDF-1'
    magic $name.svg '<?xml'
    tail -c 16 $name.pdf | grep -aq '%%EOF' || bad "$name.pdf is cut"
    tail -c 16 $name.svg | grep -q '</svg>' || bad "$name.svg is cut"
done
fails 1 'none/h.pdf: cannot write' "$jem" eval ood --model "$model" --data $small --ood uniform \
    --picture none/h.pdf
ls | grep -q tmp && bad "a temporary file stays: $(ls)"
end
