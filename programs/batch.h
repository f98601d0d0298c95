/* programs/batch — `kiln dockerfile --batch parse|expand|ignore`: the front end behind a pipe, for
 * other programs' tests.  A line of JSON comes, a line of JSON goes, in the same order, until the
 * input ends; shared/conformance/judge.py says what is in them.  Each returns the exit code. */
#ifndef PROGRAMS_BATCH_H
#define PROGRAMS_BATCH_H

int batch_parse(void);
int batch_expand(void);
int batch_ignore(void);

#endif
