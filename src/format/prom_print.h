/* prom_print: writing the text exposition format, 0.0.4 and, for names that need quotes, 1.0.0. */
#ifndef FORMAT_PROM_PRINT_H
#define FORMAT_PROM_PRINT_H

#include "base/buf.h"
#include "model/family.h"
#include "model/label.h"

void prom_print_help(struct buf *out, struct str help);   /* escaped: \\ and \n */
void prom_print_value(struct buf *out, struct str value); /* a label's, escaped: \\ \" and \n; without quotes */
/* `# HELP` and `# TYPE` lines; HELP only if there is one. Types that the format lacks are written as it maps them:
 * info and stateset as gauge, gaugehistogram as histogram, unknown as untyped. */
void prom_print_family(struct buf *out, const struct family *f);
/* One line: the labels include __name__ or not, in any order. */
void prom_print_sample(struct buf *out, struct labels l, double value);

#endif
