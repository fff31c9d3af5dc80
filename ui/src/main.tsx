import { QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { Boundary } from "./components/Boundary";
import { buildApp } from "./state/app";
import { AppContext } from "./state/hooks";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/top.css";
import "./styles/panels.css";
import "./styles/charts.css";
import "./styles/states.css";
import "./styles/letters.css";
import "./styles/access.css";
import "./styles/alerts.css";

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");
const app = buildApp();

createRoot(root).render(
  <StrictMode>
    <AppContext value={app}>
      <QueryClientProvider client={app.queries}>
        <Boundary>
          <App />
        </Boundary>
      </QueryClientProvider>
    </AppContext>
  </StrictMode>,
);
