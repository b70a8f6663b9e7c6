// One import for programs that train with the library.

@_exported import Checks
@_exported import Configuration
@_exported import Diagnostics
@_exported import Errors
@_exported import Learning
@_exported import Planning
@_exported import Reports
@_exported import Runs
