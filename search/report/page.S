/* The files of page/ and the plotting library, as they are: NAME, and NAME_bytes, how many. */
#define BEGIN(name)                                                                                \
    .global name;                                                                                  \
    .global name##_bytes;                                                                          \
    name:
#define END(name)                                                                                  \
    name##_end:                                                                                    \
    .balign 8;                                                                                     \
    name##_bytes: .quad name##_end - name

    .section .rodata
    .balign 8
BEGIN(df_page_html)
    .incbin DF_PAGE_HTML
END(df_page_html)
BEGIN(df_page_css)
    .incbin DF_PAGE_CSS
END(df_page_css)
BEGIN(df_page_js) /* one script of three files */
    .incbin DF_PAGE_DATA_JS
    .incbin DF_PAGE_CHARTS_JS
    .incbin DF_PAGE_JS
END(df_page_js)
BEGIN(df_page_library)
    .incbin DF_PAGE_LIBRARY
END(df_page_library)

    .section .note.GNU-stack, "", %progbits
