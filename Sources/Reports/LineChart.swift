/// An SVG picture of curves over the steps of a run: one panel per quantity, stacked, with a shared step axis.
///
/// A long curve is drawn twice: all steps in a faint line and the mean over a window of steps in a bold line. Non-finite
/// values leave gaps. The picture follows the light or dark colour scheme of the viewer.
public struct LineChart: Sendable {
  /// A named curve.
  public struct Series: Sendable {
    /// The name in the legend.
    public var name: String
    /// (step, value) in step order.
    public var points: [(x: Double, y: Double)]
    /// Whether the mean over a window of steps is drawn for a long curve.
    public var isNoisy: Bool

    /// A curve.
    public init(name: String, points: [(x: Double, y: Double)], isNoisy: Bool = true) {
      self.name = name
      self.points = points
      self.isNoisy = isNoisy
    }
  }

  /// Axes with the curves of one quantity.
  public struct Panel: Sendable {
    /// The quantity ("Reward").
    public var title: String
    /// The unit of the vertical axis ("mean reward per completion"), shown beside the title.
    public var label: String
    /// The curves; four have distinct colours.
    public var series: [Series]

    /// A panel.
    public init(title: String, label: String, series: [Series]) {
      self.title = title
      self.label = label
      self.series = series
    }
  }

  /// The heading.
  public var title: String
  /// The line below the heading, for example configuration and seed; may be empty.
  public var subtitle: String
  /// The label of the horizontal axis.
  public var stepLabel: String
  /// The panels from top to bottom.
  public var panels: [Panel]

  /// A chart.
  public init(title: String, subtitle: String = "", stepLabel: String = "optimizer step", panels: [Panel]) {
    self.title = title
    self.subtitle = subtitle
    self.stepLabel = stepLabel
    self.panels = panels
  }

  /// Writes the picture atomically.
  ///
  /// - Throws: `ReportError`.
  public func write(to path: String) throws(ReportError) { try AtomicFile.write(svg, to: path) }
}
