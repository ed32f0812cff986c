/* The files of page/ and the plotting library, as they are, between NAME and NAME_end. */
#define FILE_AS(name, path)                                                                        \
    .global name;                                                                                  \
    .global name##_end;                                                                            \
    name : .incbin path;                                                                           \
    name##_end : .byte 0

    .section .rodata
FILE_AS(df_page_html, DF_PAGE_HTML)
FILE_AS(df_page_css, DF_PAGE_CSS)
/* One script of three files. */
    .global df_page_js
    .global df_page_js_end
df_page_js:
    .incbin DF_PAGE_DATA_JS
    .incbin DF_PAGE_CHARTS_JS
    .incbin DF_PAGE_JS
df_page_js_end:
    .byte 0
FILE_AS(df_page_library, DF_PAGE_LIBRARY)

    .section .note.GNU-stack, "", %progbits
