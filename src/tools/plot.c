/* plot.c - the figures as SVG files: for a paper, so light, and with their style inside.
 */
#include "tools/commands.h"
#include "tools/option.h"
#include "tools/output.h"
#include "tools/scene.h"

#include <stdio.h>

static pbt_status plot_all(const struct scene *scene, const char *folder, double width) {
  char name[SCENE_NAME], file[SCENE_NAME + 8], path[PBT_PATH_BYTES];
  PBT_TRY(pbt_file_make_folders(folder));
  for (int i = 0; i < scene_figures(scene); i++) {
    struct pbt_text text = {0};
    scene_name(scene, i, name);
    snprintf(file, sizeof file, "%s.svg", name);
    pbt_status status = scene_draw(scene, i, width, true, &text);
    status = status == PBT_OK ? pbt_path_join(path, folder, file) : status;
    status = status == PBT_OK ? output_write(&text, path) : status;
    pbt_text_free(&text);
    PBT_TRY(status);
    printf("%s\n", path);
  }
  return PBT_OK;
}

pbt_status command_plot(int n_word, char *word[]) {
  const char *folder = NULL, *wide = NULL, *run;
  const struct option_spec spec[] = {
      {"--output", NULL, &folder}, {"-o", NULL, &folder}, {"--width", NULL, &wide}};
  PBT_TRY(option_take(spec, sizeof spec / sizeof *spec, word, &n_word));
  PBT_TRY(option_one("plot", word, n_word, &run));
  double width = 760.0;
  if (wide != NULL) {
    PBT_TRY(option_real("--width", wide, &width));
    if (!(width >= 300.0 && width <= 4000.0)) {
      return pbt_fail(PBT_ERR_USAGE, "--width %s: from 300 to 4000 pixels", wide);
    }
  }
  struct scene scene;
  char path[PBT_PATH_BYTES];
  PBT_TRY(scene_open(run, &scene));
  pbt_status status = PBT_OK;
  if (folder == NULL) {
    status =
        scene.history.is_folder
            ? pbt_path_join(path, scene.history.run, "plots")
            : pbt_fail(PBT_ERR_USAGE, "plot: where to? A bare lineage file needs -o");
    folder = path;
  }
  if (status == PBT_OK) {
    status = plot_all(&scene, folder, width);
  }
  scene_close(&scene);
  return status;
}
