/* report_data.h - the lineage as the report's script reads it. */
#ifndef PBT_TOOLS_REPORT_DATA_H
#define PBT_TOOLS_REPORT_DATA_H

#include "base/text.h"
#include "tools/scene.h"

/* Adds one JSON object, safe inside <script type="application/json">. */
pbt_status report_data(const struct scene *scene, struct pbt_text *text);

#endif
