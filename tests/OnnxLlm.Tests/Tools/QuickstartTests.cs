using System.Net;
using System.Text;
using OnnxLlm.Tests.Text;
using OnnxLlm.Tools;
using OnnxLlm.Tools.Quickstart;

namespace OnnxLlm.Tests.Tools;

public sealed class QuickstartTests : IDisposable
{
    private readonly HttpListener _listener = new();
    private readonly HttpClient _client = new();
    private readonly StringWriter _output = new();

    public void Dispose()
    {
        _listener.Close();
        _client.Dispose();
        _output.Dispose();
    }

    [Fact]
    public void CommandLine_WordsWithSpaces_AreQuotedForAShell() => Assert.Equal(
        "dotnet run -c Release --project tools/X -- ask 'a b' 'it'\\''s' ''", CommandLine.Project("tools/X", "ask", "a b", "it's", "").ToString());

    [Fact]
    public void Plan_NewRun_TrainsAndAnOldOneIsResumed()
    {
        using var folder = new TemporaryFolder();
        var plan = new TrainingPlan(folder.Path, Minutes: 0.5, Port: 8080, Out: ".");
        const string Train = "dotnet run -c Release --project training/OnnxLlm.Training -- ";
        Assert.Equal($"{Train}train training/configs/quickstart.json --minutes 0.5 --run runs/quickstart", Command("Training"));
        folder.Write("runs/quickstart/run.json", "{}");
        Assert.Equal($"{Train}resume runs/quickstart", Command("Training"));

        string Command(string title) => plan.Steps.Single(s => s.Title.StartsWith(title, StringComparison.Ordinal)).Command.ToString();
    }

    [Fact]
    public void Plan_OtherFolder_NamesItInEveryCommand()
    {
        var plan = new TrainingPlan("/repository", Minutes: 3, Port: 9000, Out: "elsewhere/qs");
        Assert.All(plan.Steps.Skip(1).Append(plan.Serve), step => Assert.Contains(" elsewhere/qs/", step.Command.ToString(), StringComparison.Ordinal));
        Assert.Contains("--set data=elsewhere/qs/data/sotu/shards", plan.Steps[4].Command.ToString(), StringComparison.Ordinal);
        Assert.EndsWith("--urls http://127.0.0.1:9000 > elsewhere/qs/runs/quickstart/server.log", plan.Serve.Command.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Plan_InstalledPackages_AreNotFetchedAgain()
    {
        using var folder = new TemporaryFolder();
        var plan = new TrainingPlan(folder.Path, Minutes: 3, Port: 8080, Out: ".");
        folder.Write("package-lock.json", "{}");
        Assert.Null(plan.Steps[0].UpToDate);
        folder.Write("node_modules/.package-lock.json", "{}");
        Assert.Equal("node_modules", plan.Steps[0].UpToDate);
        File.SetLastWriteTimeUtc(folder.File("package-lock.json"), File.GetLastWriteTimeUtc(folder.File("node_modules/.package-lock.json")).AddSeconds(1));
        Assert.Null(plan.Steps[0].UpToDate);
    }

    [Fact]
    public void Plan_ModelOfOthers_IsFetchedImportedQuantizedAndServed()
    {
        using var folder = new TemporaryFolder();
        var plan = new StoryPlan(folder.Path, Port: 9000, Out: "qs");
        Assert.Equal(
        [
            "npm ci",
            "npm ci --prefix tools/stories15m",
            "dotnet run -c Release --project tools/OnnxLlm.Tools -- import --source stories15m --out qs/models/stories15m",
            "dotnet run -c Release --project tools/OnnxLlm.Tools -- quantize --model qs/models/stories15m --out qs/models/stories15m-int8 --tokens 4096",
        ], plan.Steps.Select(step => step.Command.ToString()));
        Assert.EndsWith("--model qs/models/stories15m-int8 --urls http://127.0.0.1:9000 > qs/runs/stories15m/server.log", plan.Serve.Command.ToString(), StringComparison.Ordinal);
        Assert.Null(plan.Steps[1].UpToDate);
        folder.Write("tools/stories15m/package-lock.json", "{}");
        folder.Write("tools/stories15m/node_modules/.package-lock.json", "{}");
        Assert.Equal("tools/stories15m/node_modules", plan.Steps[1].UpToDate);
    }

    [Theory]
    [InlineData("/a/b", "/a/b/c/d", "c/d")]
    [InlineData("/a/b", "/a/b", ".")]
    [InlineData("/a/b", "/a/bc", "/a/bc")]
    public void Relative_Folder_IsAsOneWouldTypeIt(string root, string folder, string typed) => Assert.Equal(typed, RepositoryRoot.Relative(root, folder));

    [Fact]
    public void Quickstart_PortInUse_IsSaidBeforeAnythingStarts()
    {
        using var other = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        other.Start();
        int port = ((IPEndPoint)other.LocalEndpoint).Port;
        using var error = new StringWriter();
        Assert.Equal(2, ToolsProgram.Run(["quickstart", "--port", $"{port}"], _output, error));
        Assert.Equal(("", $"error: Port {port} is in use; choose another with --port."), (_output.ToString(), error.ToString().TrimEnd()));
    }

    [Fact]
    public void Quickstart_NoSuchPort_IsOneClearLine()
    {
        using var error = new StringWriter();
        Assert.Equal(2, ToolsProgram.Run(["quickstart", "--port", "70000"], _output, error));
        Assert.Equal("error: A port is a number from 1 to 65535, not 70000.", error.ToString().TrimEnd());
    }

    [Fact]
    public async Task Child_OutputToAFile_IsKeptThere()
    {
        using var folder = new TemporaryFolder();
        await using (var child = Child.Start(new CommandLine("dotnet", ["--version"]) { Output = "logs/version" }, folder.Path)) await child.Wait(new Interruption());
        Assert.Matches(@"^\d+\.\d+\.\d+", await File.ReadAllTextAsync(folder.File("logs/version")));
    }

    [Fact]
    public async Task Child_ExitCode_IsPassedOn()
    {
        using var interruption = new Interruption();
        await using var child = Child.Start(new("dotnet", ["--no-such-option"]), Path.GetTempPath());
        Assert.NotEqual(0, await child.Wait(interruption));
        Assert.True(child.HasExited);
    }

    [Fact]
    public void Child_MissingProgram_IsOneClearLine() =>
        Assert.StartsWith("'no-such-program' cannot be started: ", Assert.Throws<ToolException>(() => Child.Start(new("no-such-program", []), ".")).Message, StringComparison.Ordinal);

    [Fact]
    public async Task Ask_Stream_IsPrintedPieceByPiece()
    {
        Serve("data: {\"choices\":[{\"text\":\" of the\"}]}\n\ndata: {\"choices\":[{\"text\":\" United States\"}]}\n\ndata: {\"choices\":[]}\n\ndata: [DONE]\n\n");
        await new Question("m", "The people").Ask(_client, _output, CancellationToken.None);
        Assert.Equal(" of the United States" + Environment.NewLine, _output.ToString());
    }

    [Fact]
    public async Task Ask_ServerRefuses_SaysWhatItSaid()
    {
        Serve("{\"error\":{\"message\":\"no such model\"}}", 404);
        var refusal = await Assert.ThrowsAsync<ToolException>(() => new Question("m", "x").Ask(_client, _output, CancellationToken.None));
        Assert.Equal("The server answered 404: {\"error\":{\"message\":\"no such model\"}}", refusal.Message);
    }

    [Fact]
    public void Curl_Question_CanBeTyped() => Assert.StartsWith(
        "curl -N http://127.0.0.1:8080/v1/completions -H 'Content-Type: application/json' -d '{\"model\":\"m\",\"prompt\":\"The people\"",
        new Question("m", "The people").Curl(new Uri("http://127.0.0.1:8080")), StringComparison.Ordinal);

    /// <summary>Answers one request on a free port.</summary>
    private void Serve(string body, int status = 200)
    {
        using (var probe = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0))
        {
            probe.Start();
            _client.BaseAddress = new Uri($"http://127.0.0.1:{((IPEndPoint)probe.LocalEndpoint).Port}/");
        }
        _listener.Prefixes.Add(_client.BaseAddress.ToString());
        _listener.Start();
        _ = Answer();

        async Task Answer()
        {
            var context = await _listener.GetContextAsync();
            context.Response.StatusCode = status;
            context.Response.ContentType = "text/event-stream";
            await context.Response.OutputStream.WriteAsync(Encoding.UTF8.GetBytes(body));
            context.Response.Close();
        }
    }
}
