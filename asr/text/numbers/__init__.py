"""Numbers, dates, times, money and addresses as people write them (inverse text normalisation).

`written_forms` divides the spoken words of a segment into written tokens. Each token stands for one
spoken word or several, so a word keeps its time and confidence. What is ambiguous stays a word:
"one of them", "a second". Every digit that is written was said.

The modules: `words` has what all rules ask; `values` reads spoken numbers; `quantities`, `dates`,
`codes`, `names` and `addresses` have the rules for one kind of written form each; `phrases` makes
the numbers of a phrase alike; `rules` applies them.
"""

from asr.text.numbers.quantities import may_be_one_number
from asr.text.numbers.rules import WrittenForm, write, written_forms

__all__ = ["WrittenForm", "may_be_one_number", "write", "written_forms"]
