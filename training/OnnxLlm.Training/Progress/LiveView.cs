using OnnxLlm.Training.Metrics;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace OnnxLlm.Training.Progress;

/// <summary>The picture of a run in a terminal: a bar, the numbers, the curve of the loss, and what happened last. Drawn a few times a second.</summary>
internal sealed class LiveView(IAnsiConsole console, TimeProvider clock) : IProgressView
{
    private const int ChartHeight = 4;
    private const int ChartWidth = 68;
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    private readonly List<double> _losses = [];
    private LiveDisplayContext? _context;
    private StartReport? _start;
    private StepReport? _step;
    private ValidationMetrics? _validation;
    private string _note = "";
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

    /// <summary>The latest note is part of the picture; one that comes before the picture is a line of its own.</summary>
    public void Note(string line)
    {
        _note = line;
        if (_start is null) console.WriteLine(line);
        else Refresh(now: true);
    }

    internal IRenderable Draw()
    {
        var rows = new Rows(Bar(), Blank, Values(), Blank, Chart(), new Markup($"[grey]{Markup.Escape(_note)}[/]"));
        var title = $" [bold]{Markup.Escape(_start!.Run)}[/]  {Markup.Escape(_start.Model)}, {Numbers.Short(_start.Parameters)} parameters ";
        return new Panel(rows) { Header = new PanelHeader(title), Border = BoxBorder.Rounded, BorderStyle = new Style(Color.Grey), Padding = new Padding(2, 1, 2, 0), Width = 82 };
    }

    private void Refresh(bool now = false)
    {
        if (_context is null || !now && clock.GetElapsedTime(_drawn) < Interval) return;
        _drawn = clock.GetTimestamp();
        _context.UpdateTarget(Draw());
    }

    private Markup Bar()
    {
        const int width = 34;
        var share = Share();
        var filled = (int)Math.Round(share * width);
        var steps = _step is { } s ? $"step {s.Metrics.Step}{(s.PlannedSteps is { } n ? $"/{n}" : "")}" : "starting";
        var times = _step is { } t ? $"{Numbers.Time(t.Elapsed)}{(t.Remaining is { } left ? $", {Numbers.Time(left)} left" : "")}" : "";
        return new Markup($"[springgreen3]{new string('━', filled)}[/][grey30]{new string('━', width - filled)}[/] [bold]{share * 100,3:0}%[/]  {steps}  [grey]{times}[/]");
    }

    /// <summary>How much of the run is done: by steps, or by time while they are not planned yet.</summary>
    private double Share() => _step switch
    {
        null => 0,
        { PlannedSteps: { } planned } s => Math.Clamp(s.Metrics.Step / (double)Math.Max(1, planned), 0, 1),
        var s => _start!.Budget is { } budget ? Math.Clamp(s.Elapsed / budget, 0, 1) : 0,
    };

    private Grid Values()
    {
        var grid = new Grid();
        for (var i = 0; i < 3; i++) grid.AddColumn(new GridColumn { NoWrap = true, Padding = new Padding(0, 0, 2, 0) }).AddColumn(new GridColumn { NoWrap = true, Padding = new Padding(0, 0, 5, 0) });
        var m = _step?.Metrics;
        Row(grid, ("loss", Numbers.Loss(_step?.SmoothedLoss)), ("perplexity", Perplexity(_step?.SmoothedLoss)), ("speed", m is null ? "–" : $"{Numbers.Short(m.TokensPerSecond)} tok/s"));
        Row(grid, ("validation", Numbers.Loss(_validation?.ValidationLoss)), ("perplexity", Perplexity(_validation?.ValidationLoss)), ("tokens", m is null ? "–" : Numbers.Short(m.Tokens)));
        Row(grid, ("learning rate", m is null ? "–" : Numbers.Rate(m.LearningRate)), ("gradient norm", m?.GradientNorm is { } norm ? Numbers.Text(norm, "0.00") : "–"), ("skipped", $"{m?.Skipped ?? 0}"));
        return grid;
    }

    private static void Row(Grid grid, params (string Name, string Value)[] cells) =>
        grid.AddRow([.. cells.SelectMany(c => new IRenderable[] { new Markup($"[grey]{c.Name}[/]"), new Markup($"[bold]{Markup.Escape(c.Value)}[/]") })]);

    /// <summary>The smoothed losses so far, between their highest and their lowest.</summary>
    private Markup Chart()
    {
        var lines = LossChart.Draw(_losses, ChartWidth, ChartHeight).Select(line => $"[deepskyblue3]{line}[/]").ToArray();
        if (_losses.Count > 0) (lines[0], lines[^1]) = ($"{lines[0]} [grey]{Numbers.Text(_losses.Max(), "0.00")}[/]", $"{lines[^1]} [grey]{Numbers.Text(_losses.Min(), "0.00")}[/]");
        return new Markup(string.Join('\n', lines));
    }

    private static Markup Blank => new(" ");

    private static string Perplexity(double? loss) => loss is { } value ? Numbers.Text(Math.Exp(value), Math.Exp(value) < 100 ? "0.00" : "0.0") : "–";
}
