using OnnxLlm.Training.Metrics;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace OnnxLlm.Training.Progress;

/// <summary>
/// The picture of a run in a terminal: a bar, the numbers, the curve of the loss, and what happened last. Drawn a few times a second, as wide as the
/// terminal allows.
/// </summary>
internal sealed class LiveView(IAnsiConsole console, TimeProvider clock) : IProgressView
{
    private const int ChartHeight = 4, MostNotes = 3;

    /// <summary>The frame: its greatest width, what it takes of it, and what three columns of numbers need within.</summary>
    private const int MostWidth = 82, Frame = 6, ThreeColumns = 72;

    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    private readonly List<double> _losses = [];
    private LiveDisplayContext? _context;
    private StartReport? _start;
    private StepReport? _step;
    private ValidationMetrics? _validation;
    private readonly Queue<string> _notes = [];
    private long _drawn;

    public void Show(StartReport start, Action training)
    {
        _start = start;
        console.Live(Draw()).Start(context =>
        {
            _context = context;
            training();
            Refresh(now: true);
        });
        _context = null;
    }

    public void Step(StepReport report)
    {
        _step = report;
        if (report.SmoothedLoss is { } loss) _losses.Add(loss);
        Refresh();
    }

    public void Validated(ValidationMetrics result)
    {
        _validation = result;
        Refresh(now: true);
    }

    /// <summary>The latest notes are part of the picture; one that comes before or after it is a line of its own.</summary>
    public void Note(string line)
    {
        if (_context is null)
        {
            console.WriteLine(line);
            return;
        }
        _notes.Enqueue(line);
        if (_notes.Count > MostNotes) _notes.Dequeue();
        Refresh(now: true);
    }

    private int Width => Math.Min(MostWidth, console.Profile.Width);

    private int Inside => Width - Frame;

    internal IRenderable Draw()
    {
        var rows = new Rows([Bar(), Blank, Values(), Blank, Chart(), Notes()]);
        var title = $" [bold]{Markup.Escape(_start!.Run)}[/]  {Markup.Escape(_start.Model)}, {Numbers.Short(_start.Parameters)} parameters ";
        return new Panel(rows) { Header = new PanelHeader(title), Border = BoxBorder.Rounded, BorderStyle = new Style(Color.Grey), Padding = new Padding(2, 1, 2, 0), Width = Width };
    }

    private void Refresh(bool now = false)
    {
        if (_context is null || !now && clock.GetElapsedTime(_drawn) < Interval) return;
        _drawn = clock.GetTimestamp();
        _context.UpdateTarget(Draw());
    }

    private Markup Bar()
    {
        var share = Share();
        var steps = _step is { } s ? $"step {s.Metrics.Step}{(s.PlannedSteps is { } n ? $"/{n}" : "")}" : "starting";
        var times = _step is { } t ? $"{Numbers.Time(t.Elapsed)}{(t.Remaining is { } left ? $", {Numbers.Time(left)} left" : "")}" : "";
        var width = Math.Clamp(Inside - $" 100%  {steps}  {times}".Length, 8, 34);
        var filled = (int)Math.Round(share * width);
        return new Markup($"[springgreen3]{new string('━', filled)}[/][grey30]{new string('━', width - filled)}[/] [bold]{share * 100,3:0}%[/]  {steps}  [grey]{times}[/]");
    }

    /// <summary>How much of the run is done: by steps, or by time while they are not planned yet.</summary>
    private double Share() => _step switch
    {
        null => 0,
        { PlannedSteps: { } planned } s => Math.Clamp(s.Metrics.Step / (double)Math.Max(1, planned), 0, 1),
        var s => _start!.Budget is { } budget ? Math.Clamp(s.Elapsed / budget, 0, 1) : 0,
    };

    /// <summary>Three pairs of a name and a value in a row; where there is no room for three, the last of each row come below.</summary>
    private Grid Values()
    {
        var m = _step?.Metrics;
        (string Name, string Value)[][] rows =
        [
            [("loss", Numbers.Loss(_step?.SmoothedLoss)), ("perplexity", Perplexity(_step?.SmoothedLoss)), ("speed", m is null ? "–" : $"{Numbers.Short(m.TokensPerSecond)} tok/s")],
            [("validation", Numbers.Loss(_validation?.ValidationLoss)), Quality(_validation), ("tokens", m is null ? "–" : Numbers.Short(m.Tokens))],
            [("learning rate", m is null ? "–" : Numbers.Rate(m.LearningRate)), ("gradient norm", m?.GradientNorm is { } norm ? Numbers.Text(norm, "0.00") : "–"), ("skipped", $"{m?.Skipped ?? 0}")],
        ];
        return Grid(Inside >= ThreeColumns ? rows : [.. rows.Select(row => row[..2]), .. rows.Select(row => row[2]).Chunk(2)]);
    }

    private static (string Name, string Value) Quality(ValidationMetrics? validation) =>
        validation?.ValidationAccuracy is { } accuracy ? ("accuracy", Numbers.Share(accuracy)) : ("perplexity", Perplexity(validation?.ValidationLoss));

    private static Grid Grid((string Name, string Value)[][] rows)
    {
        var grid = new Grid();
        for (var i = 1; i <= rows[0].Length; i++) grid.AddColumn(Column(gap: 2)).AddColumn(Column(gap: i < rows[0].Length ? 3 : 0));
        foreach (var row in rows) grid.AddRow([.. row.SelectMany(c => new IRenderable[] { new Markup($"[grey]{c.Name}[/]"), new Markup($"[bold]{Markup.Escape(c.Value)}[/]") })]);
        return grid;
    }

    private static GridColumn Column(int gap) => new() { NoWrap = true, Padding = new Padding(0, 0, gap, 0) };

    /// <summary>In a column of their own, so that a long one is wrapped and does not widen the frame.</summary>
    private Grid Notes()
    {
        var grid = new Grid().AddColumn(new GridColumn { Width = Inside, Padding = new Padding(0) });
        foreach (var note in _notes) grid.AddRow(new Markup($"[grey]{Markup.Escape(note)}[/]"));
        return grid;
    }

    /// <summary>The smoothed losses so far, between their highest and their lowest.</summary>
    private Markup Chart()
    {
        const int label = 7;
        var lines = LossChart.Draw(_losses, Math.Max(8, Inside - label), ChartHeight).Select(line => $"[deepskyblue3]{line}[/]").ToArray();
        if (_losses.Count > 0) (lines[0], lines[^1]) = ($"{lines[0]} [grey]{Numbers.Text(_losses.Max(), "0.00")}[/]", $"{lines[^1]} [grey]{Numbers.Text(_losses.Min(), "0.00")}[/]");
        return new Markup(string.Join('\n', lines));
    }

    private static Markup Blank => new(" ");

    private static string Perplexity(double? loss) => loss is { } value ? Numbers.Text(Math.Exp(value), Math.Exp(value) < 100 ? "0.00" : "0.0") : "–";
}
