# cpack runs this before it packs what it installed.
if(CPACK_GENERATOR STREQUAL "TGZ")
  execute_process(COMMAND ${CPACK_SAGEBUILD_BUNDLE} ${CPACK_TEMPORARY_INSTALL_DIRECTORY} COMMAND_ERROR_IS_FATAL ANY)
endif()
