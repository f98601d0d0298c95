/* base/notify — tells the service manager how far the process is (sd_notify(3)). */
#ifndef BASE_NOTIFY_H
#define BASE_NOTIFY_H

/* state: "READY=1", "STOPPING=1", "STATUS=…".  Without a service manager that listens, nothing
 * happens; nor when it cannot be told, as there is nobody to complain to. */
void notify(const char *state);

#endif
