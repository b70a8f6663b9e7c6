/// Curves over the steps of a run, written as an SVG picture: one panel per quantity, stacked, with a shared step axis.
///
/// A long curve is drawn twice: each step faintly, and the mean over a window of steps boldly. Non-finite values leave gaps.
/// The picture follows the viewer's light or dark colour scheme.
public struct LineChart: Sendable {
  /// A named curve.
  public struct Series: Sendable {
    /// The name in the legend.
    public var name: String
    /// (step, value) in step order.
    public var points: [(x: Double, y: Double)]
    /// Whether the value is noisy, so that a long curve also gets its mean over a window of steps.
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
    /// What the panel shows ("Reward").
    public var title: String
    /// The unit of the vertical axis ("mean reward per completion"), shown beside the title.
    public var label: String
    /// The curves, at most four of them in distinct colours.
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
  /// A line below it, for example the configuration and the seed; may be empty.
  public var subtitle: String
  /// The horizontal axis with its unit.
  public var stepLabel: String
  /// The panels, from the top.
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
