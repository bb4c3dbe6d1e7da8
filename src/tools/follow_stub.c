#include "tools/commands.h"
pbt_status command_follow(int n_word, char *word[]) {
  (void)word;
  (void)n_word;
  return PBT_ERR_USAGE;
}
