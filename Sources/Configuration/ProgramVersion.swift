/// The version of this program, as `--version` prints it and checkpoints record it.
public enum ProgramVersion {
  public static let text = "0.1.0"
}
