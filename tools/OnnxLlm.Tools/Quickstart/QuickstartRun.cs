using System.Net;
using System.Net.Sockets;

namespace OnnxLlm.Tools.Quickstart;

/// <summary>Runs the plan step by step as child processes, then serves, asks one question and stays up.</summary>
internal sealed class QuickstartRun(QuickstartPlan plan, QuickstartScreen screen, TimeProvider time)
{
    /// <summary>What a shell reports for a program ended by Ctrl-C.</summary>
    private const int Interrupted = 130;

    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(200), StartLimit = TimeSpan.FromMinutes(5);

    /// <summary>Returns the exit code: 0, or that of the step that failed.</summary>
    public async Task<int> Run(bool stayUp)
    {
        RequireFreePort();
        using var interruption = new Interruption();
        int count = plan.Steps.Length + 1;
        for (int i = 0; i < plan.Steps.Length; i++)
        {
            screen.Heading(i + 1, count, plan.Steps[i].Title);
            if (await RunStep(plan.Steps[i], interruption) is not 0 and var code) return Failed(plan.Steps[i], code);
        }
        screen.Heading(count, count, plan.Serve.Title);
        return await Serve(stayUp, interruption);
    }

    private async Task<int> RunStep(QuickstartStep step, Interruption interruption)
    {
        screen.Command(step.Command);
        if (step.UpToDate is { } there)
        {
            screen.Plain($"up to date: {there}");
            return 0;
        }
        long start = time.GetTimestamp();
        await using var child = Child.Start(step.Command, plan.Root);
        int code = await child.Wait(interruption);
        if (interruption.Token.IsCancellationRequested) return code == 0 ? Interrupted : code;
        if (code == 0) screen.Done(time.GetElapsedTime(start));
        return code;
    }

    private async Task<int> Serve(bool stayUp, Interruption interruption)
    {
        screen.Command(plan.Serve.Command);
        await using var server = Child.Start(plan.Serve.Command, plan.Root);
        using var client = new HttpClient { BaseAddress = plan.Server };
        if (!await Ready(server, client, interruption)) return Failed(plan.Serve, await server.Wait(interruption));
        await Ask(client, interruption.Token);
        if (!stayUp) return 0;
        screen.Note($"The server is up: {plan.Server}  (Ctrl-C ends it). Ask it yourself:");
        screen.Plain(plan.Question.Curl(plan.Server));
        int code = await server.Wait(interruption);
        return interruption.Token.IsCancellationRequested ? 0 : Failed(plan.Serve, code == 0 ? Interrupted : code);
    }

    private async Task Ask(HttpClient client, CancellationToken stop)
    {
        screen.Plain("");
        screen.Note($"Question: \"{plan.Question.Prompt}\" ... and the answer as it streams in:");
        await screen.Answer(plan.Question, client, stop);
        screen.Plain("");
    }

    /// <summary>True once the server says that it is ready; false when it ended instead.</summary>
    private async Task<bool> Ready(Child server, HttpClient client, Interruption interruption)
    {
        long start = time.GetTimestamp();
        while (!server.HasExited && !interruption.Token.IsCancellationRequested)
        {
            if (await Answers(client)) return true;
            if (time.GetElapsedTime(start) > StartLimit) throw new ToolException($"The server did not become ready within {StartLimit.TotalMinutes:0} minutes.");
            await Task.Delay(Poll, time, CancellationToken.None);
        }
        return false;
    }

    private static async Task<bool> Answers(HttpClient client)
    {
        try
        {
            using var response = await client.GetAsync("/health/ready");
            return response.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    /// <summary>Known before the training, not after it.</summary>
    private void RequireFreePort()
    {
        if (plan.Port is < 1 or > IPEndPoint.MaxPort) throw new ToolException($"A port is a number from 1 to {IPEndPoint.MaxPort}, not {plan.Port}.");
        using var probe = new TcpListener(IPAddress.Loopback, plan.Port);
        try
        {
            probe.Start();
        }
        catch (SocketException)
        {
            throw new ToolException($"Port {plan.Port} is in use; choose another with --port.");
        }
    }

    private static int Failed(QuickstartStep step, int code)
    {
        Console.Error.WriteLine($"quickstart stopped at '{step.Title}' (exit code {code}). Run it again to go on from there, or only this step: {step.Command}");
        return code;
    }
}
