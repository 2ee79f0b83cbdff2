# What stands around main(), beside the library.

# For programs that do not call init(), such as those with GoogleTest's main(). The start-up code's
# reference to main() then is to the wrapper here. Why -u: the wrapper's archive may come behind
# the one with main() in it.
add_library(forkful_auto_main STATIC "${PROJECT_SOURCE_DIR}/src/entry/auto_main.cpp")
add_library(forkful::auto_main ALIAS forkful_auto_main)
set_target_properties(forkful_auto_main PROPERTIES EXPORT_NAME auto_main
                                                   OUTPUT_NAME forkful-auto-main)
target_link_libraries(forkful_auto_main PUBLIC forkful)
target_link_options(forkful_auto_main INTERFACE -Wl,--wrap=main -Wl,-u,main)

# For libraries that start processes within programs that know nothing of forkful.
add_executable(forkful_host "${PROJECT_SOURCE_DIR}/src/entry/host.cpp")
add_executable(forkful::host ALIAS forkful_host)
set_target_properties(forkful_host PROPERTIES EXPORT_NAME host OUTPUT_NAME forkful-host)
target_include_directories(forkful_host PRIVATE "${PROJECT_SOURCE_DIR}/src")
target_link_libraries(forkful_host PRIVATE forkful ${CMAKE_DL_LIBS})
