// Prints src/shape/letter_case_table_int.h from Go's own Unicode tables: what strings.ToLower and strings.ToUpper do to one
// letter, as runs of letters with the same distance to their counterpart.
package main

import (
	"fmt"
	"unicode"
)

type run struct {
	first, last, step, delta rune
}

func runs(convert func(rune) rune) []run {
	var out []run
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		delta := convert(r) - r
		if delta == 0 {
			continue
		}
		if n := len(out); n > 0 {
			p := &out[n-1]
			step := r - p.last
			if p.delta == delta && step <= 2 && (p.first == p.last || p.step == step) {
				p.last, p.step = r, step
				continue
			}
		}
		out = append(out, run{r, r, 1, delta})
	}
	return out
}

func table(name string, convert func(rune) rune) {
	fmt.Printf("\nstatic const struct letter_run %s[] = {\n", name)
	line := "   "
	for _, r := range runs(convert) {
		cell := fmt.Sprintf(" {0x%x, 0x%x, %d, %d},", r.first, r.last, r.step, r.delta)
		if len(line)+len(cell) > 118 {
			fmt.Println(line)
			line = "   "
		}
		line += cell
	}
	fmt.Printf("%s\n};\n", line)
}

func main() {
	fmt.Printf(`/* letter_case_table_int: simple case mappings beyond ASCII, Unicode %s.
 * Generated: tests/conformance/relabel/run --table
 */
#ifndef SHAPE_LETTER_CASE_TABLE_INT_H
#define SHAPE_LETTER_CASE_TABLE_INT_H

#include <stdint.h>

/* Every step-th letter from first to last has its counterpart delta further on. Sorted. */
struct letter_run {
    uint32_t first, last, step;
    int32_t delta;
};
`, unicode.Version)
	table("to_lower", unicode.ToLower)
	table("to_upper", unicode.ToUpper)
	fmt.Print("\n#endif\n")
}
