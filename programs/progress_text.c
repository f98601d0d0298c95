/* programs/progress_text — see the header. */
#include "programs/progress_text.h"

#include "base/text.h"

void progress_text(enum template_phase phase, double seconds, uint64_t done, uint64_t total,
                   char text[PROGRESS_TEXT])
{
    double rate = seconds > 0 ? (double)done / seconds : 0;
    double left = rate > 0 && total > done ? (double)(total - done) / rate : 0;
    char all[TEXT_SIZE], speed[TEXT_SIZE];

    if (phase == TEMPLATE_SCANNING) {
        (void)snprintf(text, PROGRESS_TEXT, "%llu entries found", (unsigned long long)done);
        return;
    }
    if (phase == TEMPLATE_LOOKING) {
        (void)snprintf(text, PROGRESS_TEXT, "%llu of %llu revisions read, %.0f s left",
                       (unsigned long long)done, (unsigned long long)total, left);
        return;
    }
    text_size(total, all);
    text_size((uint64_t)rate, speed);
    (void)snprintf(text, PROGRESS_TEXT, "%.0f %% of %s, %s/s, %.0f s left",
                   total ? 100.0 * (double)done / (double)total : 0, all, speed, left);
}
