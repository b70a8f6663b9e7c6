/// What an output may replace.
public enum OutputPolicy: Sendable {
  /// The program's own file in the program's own directory: replaces the regular file that it wrote before. A link, a
  /// device or anything else at the path is an error.
  case own
  /// A path that the user gave: nothing is replaced. A link is followed; a device or a pipe is written to.
  case new
  /// A path that the user gave with `--force`: as `new`, but a regular file is replaced.
  case replacing

  public init(force: Bool) { self = force ? .replacing : .new }
}
