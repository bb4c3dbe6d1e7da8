/* page.h - the report's style sheet and script, made from report.css and report.js. */
#ifndef PBT_TOOLS_PAGE_H
#define PBT_TOOLS_PAGE_H

extern const char pbt_page_css[];
extern const char pbt_page_js[];

#endif
