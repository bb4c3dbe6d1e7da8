#include "base/child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Lower than what holds already, never higher. */
static void limit(int what, double most) {
  struct rlimit now;
  if (getrlimit((unsigned)what, &now) == 0) {
    rlim_t wanted = (rlim_t)most;
    now.rlim_cur =
        now.rlim_cur == RLIM_INFINITY || wanted < now.rlim_cur ? wanted : now.rlim_cur;
    setrlimit((unsigned)what, &now);
  }
}

/* A signal that the program catches would not end the child: it is to die of all. */
static void be_mortal(void) {
  static const int caught[] = {SIGTERM, SIGINT, SIGUSR1, SIGXCPU, SIGABRT, SIGSEGV};
  for (size_t i = 0; i < sizeof caught / sizeof *caught; i++) {
    signal(caught[i], SIG_DFL);
  }
}

static pbt_status describe(int how, double seconds) {
  if (WIFEXITED(how)) {
    return PBT_OK;
  }
  if (WTERMSIG(how) == SIGXCPU) {
    return pbt_fail(PBT_ERR_DATA, "it took more than %.0f s of processor time", seconds);
  }
  return pbt_fail(PBT_ERR_DATA, "it was ended by signal %d (%s)", WTERMSIG(how),
                  strsignal(WTERMSIG(how)));
}

pbt_status pbt_child_start(void (*work)(void *), void *with, double seconds,
                           struct pbt_child *child) {
  *child = (struct pbt_child){.seconds = seconds};
  fflush(NULL);
  child->pid = fork();
  if (child->pid < 0) {
    child->pid = 0;
    return pbt_fail_errno(PBT_ERR_UNAVAILABLE, "cannot start a process");
  }
  if (child->pid == 0) {
    be_mortal();
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, seconds + 1);
    limit(RLIMIT_AS, (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE));
    work(with);
    _exit(EXIT_SUCCESS);
  }
  return PBT_OK;
}

pbt_status pbt_child_end(struct pbt_child *child) {
  int how = 0;
  if (child->pid == 0) {
    return PBT_OK;
  }
  while (waitpid(child->pid, &how, 0) < 0) {
    if (errno != EINTR) {
      return pbt_fail_errno(PBT_ERR_INTERNAL, "cannot wait for a process");
    }
  }
  child->pid = 0;
  return describe(how, child->seconds);
}
